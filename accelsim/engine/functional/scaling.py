"""Where the scales of integer operands come from: the tensor at hand, a quantiser, or samples seen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import UnsupportedError
from accelsim.numerics import Format, quantize
from accelsim.numerics.elements import Integer
from accelsim.numerics.quantisers import Calibration, MaxRange, Quantiser, calibrate
from accelsim.numerics.tensor import QuantizedTensor

__all__ = ["DYNAMIC", "Scaling", "Scalings", "takes_scales"]

Array = NDArray[Any]
Patterns = tuple[tuple[str, Quantiser], ...]


def takes_scales(form: Format) -> bool:
    """Whether a quantiser has a say in a format: integers with scales that are no powers of two."""
    return isinstance(form.element, Integer) and form.scale is not None and not form.exact_scale


@dataclass(frozen=True, slots=True)
class Scaling:
    """How one operand is scaled: by ``calibration``, found before; else by ``quantiser``; else by its format's rule."""

    quantiser: Quantiser | None = None
    calibration: Calibration | None = None

    def quantized(self, rows: Array, form: Format) -> QuantizedTensor:
        """Rows (n, k) in the format, scales along k."""
        if self.calibration is not None:
            return self.calibration.quantize(rows)
        if self.quantiser is not None and takes_scales(form) and rows.size:
            return calibrate(rows, form, self.quantiser, axis=1).quantize(rows)
        return quantize(rows, form, axis=1)


DYNAMIC = Scaling()
"""The format's own rule on the tensor at hand."""


@dataclass(frozen=True, slots=True)
class Scalings:
    """The scalings of all ops.

    Attributes:
        weights, activations: quantisers by pattern of op names; the first that matches wins.
        samples: left operands that ops have seen in FP32, by op name: their scales are found once, from these. None
            finds them from each tensor at hand.
    """

    weights: Patterns = ()
    activations: Patterns = ()
    samples: Mapping[str, list[Array]] | None = field(default=None, repr=False)

    def right(self, op: str, *, constant: bool) -> Scaling:
        """That of an op's right operand: a weight where it is constant."""
        return Scaling(_first(self.weights if constant else self.activations, op))

    def left(self, op: str, form: Format) -> Scaling:
        """That of an op's left operand.

        Raises:
            UnsupportedError: samples for a format whose scales depend on places in the tensor.
        """
        quantiser = _first(self.activations, op)
        if self.samples is None or not takes_scales(form) or op not in self.samples:
            return Scaling(quantiser)
        if form.shared != "tensor":
            raise UnsupportedError("has scales by row, which samples do not give", field=f"op {op}", value=form.name,
                                   remedy="take a scale a tensor, or no calibration")  # fmt: skip
        seen = [each.reshape(1, -1) for each in self.samples[op]]
        return Scaling(calibration=calibrate(_whole(seen), form, quantiser or MaxRange(), axis=1))


def _whole(samples: list[Array]) -> Array:
    return samples[0] if len(samples) == 1 else np.concatenate(samples, axis=1)


def _first(patterns: Patterns, op: str) -> Quantiser | None:
    return next((quantiser for pattern, quantiser in patterns if fnmatchcase(op, pattern)), None)
