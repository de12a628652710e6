"""The joined front end: one row, rebuilt from its recipe alone, one sampling rate."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ser.functionals import Functionals
from ser.prosodic_frontend import ProsodicFrontEnd, ProsodicFrontEndError
from ser.prosody import Prosody

RATE_HZ = 16000
PROSODY = Prosody(
    sampling_rate_hz=RATE_HZ,
    step_s=0.01,
    search_floor_hz=60.0,
    search_ceiling_hz=700.0,
    floor_factor=0.75,
    ceiling_factor=2.0,
    voicing_threshold=0.45,
    minimum_voiced_s=0.05,
    formant_ceiling_hz=5500.0,
    formant_step_s=0.02,
    level_floor_hz=50.0,
    speech_gate_db=40.0,
    pause_gate_db=25.0,
    minimum_pause_s=0.1,
    nucleus_dip_db=2.0,
)
FUNCTIONALS = Functionals(
    sampling_rate_hz=RATE_HZ,
    window_s=0.025,
    hop_s=0.01,
    n_mfcc=20,
    n_mels=40,
    n_log_mels=26,
    speech_gate_db=40.0,
    floor_db=80.0,
    minimum_frames=10,
)
FRONT_END = ProsodicFrontEnd(PROSODY, FUNCTIONALS)


def buzz() -> np.ndarray:
    t = np.arange(RATE_HZ) / RATE_HZ
    return (0.03 * np.sin(2 * np.pi * np.arange(1, 20)[:, None] * 160 * t).sum(axis=0)).astype(np.float32)


def test_row_joins_both_in_the_order_of_the_names():
    row = FRONT_END(buzz())
    assert row.shape == (1, len(FRONT_END.names))
    assert row.dtype == np.float32
    by_name = dict(zip(FRONT_END.names, row[0], strict=True))
    assert by_name["pro_f0_median_hz"] == pytest.approx(160, abs=1)
    assert by_name["fun_level_db"] == pytest.approx(20 * np.log10(0.03 * np.sqrt(19 / 2)), abs=0.5)


def test_rebuilt_from_its_stored_recipe_it_measures_the_same_bits():
    recipe = json.loads(json.dumps(FRONT_END.recipe))
    again = ProsodicFrontEnd.from_fields(recipe["fields"])
    assert again == FRONT_END
    assert again(buzz()).tobytes() == FRONT_END(buzz()).tobytes()


def test_silence_is_a_row_of_undefined_numbers():
    row = FRONT_END(np.zeros(RATE_HZ, dtype=np.float32))
    assert np.isnan(row).sum() == len(FRONT_END.names) - 1  # the duration is known


def test_two_sampling_rates_are_refused():
    with pytest.raises(ProsodicFrontEndError, match="8000 Hz"):
        ProsodicFrontEnd(PROSODY, replace(FUNCTIONALS, sampling_rate_hz=8000))
    with pytest.raises(ProsodicFrontEndError, match="data/audio/clean/x: 44100 Hz"):
        FRONT_END.require_rate(44100, "data/audio/clean/x")
