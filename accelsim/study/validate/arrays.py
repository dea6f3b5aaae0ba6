"""Archives of arrays (.npz) whose entry ``meta`` lists, as JSON, what each case is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.validate.framework import Comparison

__all__ = ["Archive", "deviation", "read_archive"]


@dataclass(frozen=True, slots=True)
class Archive:
    """One file: its arrays, and its cases in order."""

    file: str
    arrays: Mapping[str, NDArray[Any]]
    cases: tuple[Mapping[str, Any], ...]

    def array(self, name: str) -> NDArray[Any]:
        """An array that must be there.

        Raises:
            InputError: it is not.
        """
        if name not in self.arrays:
            raise InputError("is missing", file=self.file, field=name)
        return self.arrays[name]


def read_archive(file: Path) -> Archive:
    """All of a file.

    Raises:
        InputError: it cannot be read, or ``meta`` is no list of objects.
    """
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        cases = json.loads(str(arrays.pop("meta")))
    except KeyError:
        raise InputError("is missing", file=file, field="meta") from None
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"cannot be read ({error})", file=file) from None
    if not isinstance(cases, list) or not all(isinstance(each, dict) for each in cases):
        raise InputError("must be a list of objects", file=file, field="meta")
    return Archive(file.name, arrays, tuple(cases))


def deviation(
    metric: str, found: NDArray[Any], expected: NDArray[Any], tolerance: float, least_scale: float = 0.0
) -> Comparison:
    """The largest deviation of an array, as a shift of its largest magnitude (of ``least_scale`` at least).

    Raises:
        InputError: arrays of different shapes, or values that are not finite.
    """
    if found.shape != expected.shape:
        raise InputError(f"has the shape {expected.shape}, and {found.shape} was computed", field=metric)
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        raise InputError("holds NaN or infinities", field=metric)
    difference = found.astype(np.float64) - expected
    place = np.unravel_index(int(np.abs(difference).argmax()), difference.shape)
    scale = max(least_scale, float(np.abs(expected).max()))
    worst = float(difference[place])
    note = f"largest deviation {worst:.3g} of {scale:.4g}, at {tuple(map(int, place))}"
    return Comparison(metric, scale + worst, scale, tolerance, note)
