"""What onnxruntime raises for a graph it cannot load or run: classes of its own, which share no base but Exception."""


def onnx_errors() -> tuple[type[Exception], ...]:
    """Classes to catch."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names if hasattr(state, name))
