"""Arrays without owners are the same arrays, and leave their owners' references as they were."""

import sys
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit

from accelsim.mapping.search import divisors_of
from accelsim.mapping.unowned import unowned


class _Pair(NamedTuple):
    matrix: np.ndarray
    inner: tuple[np.ndarray, float]


@njit
def _filled(pair, value):
    pair = unowned(pair)
    for row in range(len(pair.matrix)):
        pair.matrix[row][1:] = value
    pair.inner[0][:] += pair.inner[1]
    return pair.matrix.sum()


@njit(inline="always")
def _put(array, place, value):
    array[place] = value


@njit
def _raised(pair, values):
    pair = unowned(pair)
    for place in range(len(values)):
        pair.inner[0][place] = max(pair.inner[0][place], values[place])
        _put(pair.matrix, (0, place), values[place])
    return len(values)


@njit
def _sliced(array, times):
    array, total = unowned(array), 0.0
    for _ in range(times):
        total += array[1:3].sum()
    return total


def test_it_is_the_same_memory():
    pair = _Pair(np.zeros((3, 4)), (np.ones(2), 0.5))
    assert _filled(pair, 2.0) == pair.matrix.sum() == 18.0
    assert pair.inner[0].tolist() == [1.5, 1.5]


def test_what_is_written_and_not_read_stays():
    """Numba's elimination of dead code must know that the arrays are those of the argument."""
    pair = _Pair(np.zeros((1, 3)), (np.ones(3), 0.0))
    assert _raised(pair, np.array([0.5, 2.0, 3.0])) == 3
    assert pair.inner[0].tolist() == [1.0, 2.0, 3.0]
    assert pair.matrix.tolist() == [[0.5, 2.0, 3.0]]


@pytest.mark.parametrize("array", [np.arange(5.0), np.arange(10.0)[::2]])
def test_owners_keep_their_references(array):
    _sliced(array, 1)
    before = sys.getrefcount(array)
    assert _sliced(array, 100) == 100 * array[1:3].sum()
    assert sys.getrefcount(array) == before


def test_without_a_compiler_it_is_the_value_itself():
    pair = _Pair(np.zeros((1, 1)), (np.ones(1), 0.0))
    assert unowned(pair) is pair


def test_divisors():
    for number in range(1, 200):
        assert divisors_of(number).tolist() == [each for each in range(1, number + 1) if number % each == 0]
