"""Integer time, and conversions at the edges.

Inside accelsim time is an int64 count of femtoseconds, so that two engines can be compared for equality
and no schedule depends on rounding. The range, 9223 s, is checked where seconds come in.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError

__all__ = ["FS_PER_S", "MAX_TIME_FS", "added", "fs_to_s", "s_to_fs", "s_to_fs_array"]

FS_PER_S = 10**15
MAX_TIME_FS = 2**63 - 1


def s_to_fs(seconds: float) -> int:
    """Seconds to whole femtoseconds, to the nearest; negative or too long times are refused."""
    if not 0 <= seconds < MAX_TIME_FS / FS_PER_S:
        raise InputError("must be a time between 0 and 9223 s", field="time", value=seconds)
    return round(seconds * FS_PER_S)


def s_to_fs_array(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Element-wise `s_to_fs`. Shape is kept; the *sum* is checked too, as a schedule may add all of them."""
    if seconds.size and not (np.min(seconds) >= 0 and np.sum(seconds) < MAX_TIME_FS / FS_PER_S):
        worst = float(np.min(seconds)) if not np.min(seconds) >= 0 else float(np.sum(seconds))
        raise InputError(
            "must be times of 0 or more that add up to at most 9223 s",
            field="task durations",
            value=worst,
            remedy="simulate a shorter input, or check the architecture's clock and bandwidths",
        )
    return np.rint(seconds * FS_PER_S).astype(np.int64)


def added(values: Iterable[float]) -> float:
    """The sum from left to right: from Python 3.12 on, `sum` compensates for rounding, which columns do not."""
    total = 0.0
    for value in values:
        total += value
    return total


def fs_to_s(femtoseconds: int) -> float:
    """Whole femtoseconds to seconds."""
    return int(femtoseconds) / FS_PER_S
