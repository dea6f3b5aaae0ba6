"""A run that has ended, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.sweep.axes import Axis, shown
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.store import manifest_of, parts_of, read_json, read_part

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SweepRun"]


@dataclass(frozen=True)
class SweepRun:
    """The results of a sweep in a folder."""

    sweep: Sweepable
    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts, front, time and what the strategy found out."""
        if not (self.folder / "finished.json").exists():
            raise InputError("has not finished", file=self.folder, remedy="go on with --resume")
        return read_json(self.folder / "finished.json")

    def table(self, columns: list[str] | None = None) -> pa.Table:
        """All rows, or some columns of them, in the order of the designs.

        Raises:
            InputError: a part is damaged.
        """
        identity = manifest_of(self.folder)["identity"]
        return pa.concat_tables([read_part(part, identity, columns) for part in parts_of(self.folder)])

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All rows as a frame, a row a design: axes, metrics, status, limit and reason."""
        found: pd.DataFrame = self.table().unify_dictionaries().to_pandas()
        return found

    def coordinates(self, design: int) -> NDArray[np.float64]:
        """Coordinates of one design, (axes,).

        Raises:
            InputError: no row has this number.
        """
        row = self._rows(np.array([design]))
        if not len(row):
            raise InputError("is the number of no row", field="design", value=design)
        return self.coordinates_of({axis.name: row[axis.name][0].as_py() for axis in self.sweep.space.axes})

    def coordinates_of(self, row: Mapping[str, Any]) -> NDArray[np.float64]:
        """Coordinates of a row, (axes,)."""
        return np.array([_coordinate(axis, row[axis.name]) for axis in self.sweep.space.axes])

    def _rows(self, designs: NDArray[np.int64]) -> pa.Table:
        """The rows of some designs; only the parts that hold them are read whole."""
        identity = manifest_of(self.folder)["identity"]
        found = []
        for part in parts_of(self.folder):
            numbers = read_part(part, identity, ["design"])["design"].to_numpy()
            chosen = np.flatnonzero(np.isin(numbers, designs))
            if chosen.size:
                found.append(read_part(part, identity).take(chosen))
        return pa.concat_tables(found) if found else self.table().slice(0, 0)

    @cached_property
    def front(self) -> pd.DataFrame:
        """The rows of the Pareto front, sorted by the first objective."""
        rows = self._rows(np.array(self.summary["front"], dtype=np.int64))
        front: pd.DataFrame = rows.unify_dictionaries().to_pandas()
        name, sense = next(iter(self.sweep.document.objectives.items()))
        return front.sort_values([name, "design"], ascending=[sense == "min", True]).reset_index(drop=True)


def _coordinate(axis: Axis, stored: Any) -> float:
    """The coordinate that a stored value came from."""
    if stored is None or stored != stored:  # None or NaN
        return float("nan")
    if axis.continuous:
        return float(stored)
    known = [shown(value) for value in axis.values] if isinstance(stored, str) else list(axis.values)
    return float(known.index(stored))
