"""What ops read of sample inputs: the operands that static scales are found from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.program import Program
from accelsim.engine.functional.run import run_values
from accelsim.engine.functional.scaling import takes_scales
from accelsim.engine.functional.units import Held, MatrixUnit, Operand, Sums
from accelsim.mapping.records import MappedItem, MappedWorkload
from accelsim.numerics import FORMATS

__all__ = ["observed"]

Array = NDArray[Any]


def observed(
    program: Program, mapping: MappedWorkload, value_format: str, samples: Iterable[Mapping[str, Array]]
) -> dict[str, list[Array]]:
    """By op name, the left operands that ops in integers read when products are exact, over all ``samples``."""
    seen: dict[str, list[Array]] = {}

    def unit(item: MappedItem) -> MatrixUnit:
        form = FORMATS.get(item.precision)
        return _Observer(seen.setdefault(item.op.name, []) if form is not None and takes_scales(form) else None)

    for inputs in samples:
        run_values(program, mapping, unit, value_format, inputs)
    return {name: found for name, found in seen.items() if found}


@dataclass(frozen=True, slots=True)
class _Observer:
    seen: list[Array] | None

    def hold(self, right: Operand) -> Held:
        return _Exact(self.seen, right.arranged)


@dataclass(frozen=True, slots=True)
class _Exact:
    seen: list[Array] | None
    right: Array
    saturated: int = 0
    flushed: int = 0

    def times(self, left: Operand) -> Sums:
        if self.seen is not None and not left.bits:
            self.seen.append(left.values)
        return Sums(np.matmul(left.arranged, self.right.swapaxes(-1, -2)))
