"""Integer time: round trips and limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.units import FS_PER_S, MAX_TIME_FS, fs_to_s, s_to_fs, s_to_fs_array

EXACT_FS = 2**53  # up to here a float64 holds every whole number
LONGEST_S = MAX_TIME_FS / FS_PER_S


@given(st.integers(0, EXACT_FS // 4))
def test_femtoseconds_survive_seconds(fs):
    """Two roundings, of a quotient and of a product, cost less than half a femtosecond up to 2 s."""
    assert s_to_fs(fs_to_s(fs)) == fs


@given(st.integers(0, MAX_TIME_FS - 2048))
def test_long_times_survive_to_the_precision_of_a_float(fs):
    assert abs(s_to_fs(fs_to_s(fs)) - fs) <= fs * 2.0**-51


@pytest.mark.parametrize(
    ("seconds", "fs"),
    [
        (0, 0),
        (-0.0, 0),
        (0.4e-15, 0),
        (0.6e-15, 1),
        (1e-15, 1),
        (1e-9, 10**6),
        (0.001, 10**12),
        (1, FS_PER_S),
        (9000, 9 * 10**18),
    ],
)
def test_known_times(seconds, fs):
    found = s_to_fs(seconds)
    assert (found, type(found)) == (fs, int)
    assert s_to_fs_array(np.array([seconds], dtype=np.float64)).tolist() == [fs]


@pytest.mark.parametrize("seconds", [-1e-15, -1.0, 9224.0, 1e300, float("inf"), float("-inf"), float("nan")])
def test_times_out_of_range(seconds):
    with pytest.raises(InputError, match="9223 s"):
        s_to_fs(seconds)
    with pytest.raises(InputError, match="9223 s"):
        s_to_fs_array(np.array([1.0, seconds]))


@pytest.mark.parametrize("convert", [s_to_fs, lambda seconds: int(s_to_fs_array(np.array([seconds]))[0])])
def test_what_does_not_fit_int64_is_refused(convert):
    """The limit itself is no float64: the nearest one above is beyond int64, the nearest below is within."""
    assert 0 < convert(np.nextafter(LONGEST_S, 0)) <= MAX_TIME_FS
    assert round(LONGEST_S * FS_PER_S) > MAX_TIME_FS
    with pytest.raises(InputError, match="9223 s"):
        convert(LONGEST_S)


def test_the_sum_of_an_array_is_limited():
    assert s_to_fs_array(np.full(2, 4611.0)).sum() == 9222 * FS_PER_S
    with pytest.raises(InputError, match="add up to"):
        s_to_fs_array(np.full(2, 4612.0))


@given(st.lists(st.floats(0, 100), max_size=20))
def test_an_array_is_converted_element_by_element(seconds):
    found = s_to_fs_array(np.array(seconds, dtype=np.float64))
    assert found.dtype == np.int64
    assert found.tolist() == [s_to_fs(each) for each in seconds]


def test_shape_is_kept():
    assert s_to_fs_array(np.zeros((2, 3))).shape == (2, 3)
    assert s_to_fs_array(np.zeros((0, 3))).shape == (0, 3)


def test_numpy_integers_are_times():
    assert fs_to_s(np.int64(5 * FS_PER_S)) == 5.0
