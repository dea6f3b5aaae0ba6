"""The hook by which a kind of hardware supplies the matrix products of its mapped ops.

A kind is a function of its description that gives, for each mapped op, a `MatrixUnit`; `units_of` finds it. The run
(see `run`) arranges a model's tensors, asks the unit for products, and does everything else itself: biases, rounding
of results, vector work, the FP32 run beside it and the errors. A unit holds the right operand of a product once and
multiplies as many left operands with it as the op has steps, so that weights are quantised, or programmed into cells,
as often as the hardware does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.scaling import Scalings
from accelsim.errors import UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.description import Description
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import MappedItem

if TYPE_CHECKING:
    from accelsim.numerics.analog import NormalSource

__all__ = ["Held", "MatrixUnit", "Operand", "Sums", "UnitOf", "units_of"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a product before a unit has read it.

    Attributes:
        values: the tensor as it is stored, float32, of its own shape.
        arrange: its values as (groups, rows, k); they only change place, and padding is zeros.
        constant: whether it is the same for all inputs, such as a weight.
        bits: of whole numbers that a model has quantised already, zero points taken off; 0 for all other numbers.
    """

    values: FloatArray
    arrange: Callable[[FloatArray], FloatArray]
    constant: bool = False
    bits: int = 0

    @property
    def arranged(self) -> FloatArray:
        """The values as (groups, rows, k)."""
        return self.arrange(self.values)


@dataclass(frozen=True, slots=True)
class Sums:
    """Products as the unit hands them on: (groups, m, n) float32.

    ``saturated`` counts finite numbers that were cut to the range of a format or converter, ``flushed`` those that
    became zero.
    """

    values: FloatArray
    saturated: int = 0
    flushed: int = 0


class Held(Protocol):
    """A right operand (groups, n, k) in a unit. Its counts are those of reading it once."""

    @property
    def saturated(self) -> int: ...

    @property
    def flushed(self) -> int: ...

    def times(self, left: Operand) -> Sums:
        """(groups, m, n) of left (groups, m, k); counts are those of the left side and of the sums."""
        ...


class MatrixUnit(Protocol):
    """What computes the products of one mapped op."""

    def hold(self, right: Operand) -> Held:
        """Take in the right operand."""
        ...


UnitOf = Callable[[MappedItem], MatrixUnit]
"""From a mapped matrix op, of the kind's own class, to its unit."""


def units_of(
    description: Description, scalings: Scalings, seed: int, time_s: float | None = None,
    normals: NormalSource | None = None,
) -> UnitOf:  # fmt: skip
    """The matrix units of an architecture, by mapped op.

    Args:
        scalings: where the scales of integer operands come from.
        seed: of what hardware draws, such as the noise of cells; digital arrays draw nothing.
        time_s: seconds after programming at which analog tiles are read; None for right after it.
        normals: what analog tiles take in place of drawn numbers.

    Raises:
        UnsupportedError: a kind whose values are not emulated, or a time or normals where nothing drifts or is drawn.
    """
    if isinstance(description, AimcArchitecture):
        from accelsim.engine.functional.analog import analog_setting, analog_units

        return analog_units(description, analog_setting(description, time_s, seed, normals), scalings)
    if time_s is not None:
        raise UnsupportedError("is for analog tiles, which drift", file=f"architecture {description.name}",
                               field="time_s", value=time_s, remedy="leave it out")  # fmt: skip
    if normals is not None:
        raise UnsupportedError("are for analog tiles, which are noisy", file=f"architecture {description.name}",
                               field="normals", remedy="leave them out")  # fmt: skip
    if isinstance(description, DigitalArchitecture):
        from accelsim.engine.functional.digital import digital_units

        return digital_units(description, scalings)
    raise UnsupportedError("computes values that are not emulated", file=f"architecture {description.name}",
                           field="kind", value=description.kind, remedy="take a digital architecture")  # fmt: skip
