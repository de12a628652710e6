import threading

import pytest

from ser.prefetch import ahead


def test_order_is_kept():
    assert list(ahead(range(50))) == list(range(50))


def test_an_error_while_making_an_item_reaches_the_consumer_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        for item in ahead(items()):
            seen.append(item)
    assert seen == [1]


def test_no_more_than_n_items_are_waiting():
    made = []

    def items():
        for n in range(100):
            made.append(n)
            yield n

    iterator = ahead(items(), n=2)
    next(iterator)
    threading.Event().wait(0.2)
    assert len(made) <= 5
    iterator.close()


def test_an_abandoned_iteration_ends_its_thread():
    iterator = ahead(iter(int, 1))  # endless zeros
    next(iterator)
    iterator.close()
    for thread in threading.enumerate():
        if thread.name == "prefetch":
            thread.join(timeout=5)
            assert not thread.is_alive()
