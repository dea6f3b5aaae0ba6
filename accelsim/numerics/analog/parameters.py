"""What a crossbar computes with: converters, noise, non-idealities, and how inputs and outputs are scaled.

All magnitudes are in units of the array: weights within -1 .. 1 of the largest conductance, inputs within the bound of
the DAC, outputs sums of their products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from accelsim.errors import InputError, UnknownNameError

__all__ = [
    "BoundManagement",
    "Converter",
    "CrossbarParameters",
    "NoiseManagement",
    "SignHandling",
    "WeightNoise",
]

NoiseManagement = Literal["none", "abs_max", "max", "constant", "abs_max_np_sum"]
BoundManagement = Literal["none", "iterative", "iterative_worst_case"]
SignHandling = Literal["one_pass", "pos_neg_separate", "pos_neg_separate_digital_sum", "four_phase_digital_sum"]
WeightNoise = Literal["none", "additive", "pcm_read"]

_LEAST_BITS, _MOST_BITS = 2, 24
_WORDS = {
    "noise_management": get_args(NoiseManagement),
    "bound_management": get_args(BoundManagement),
    "sign_handling": get_args(SignHandling),
    "weight_noise_kind": get_args(WeightNoise),
}
_ANY_SIGN = ("series_reference", "input_asymmetry", "output_asymmetry", "output_scale", "noise_threshold")
_POSITIVE = ("wire_ohm", "ir_drop_g_max_us", "largest_reduction", "largest_resolution_share")


@dataclass(frozen=True, slots=True)
class Converter:
    """A DAC or an ADC.

    Attributes:
        bound: largest magnitude that passes; inf where nothing clips.
        steps: steps between -bound and bound; None where nothing is rounded.
        stochastic: whether rounding is stochastic instead of half to even.
        unsigned: whether nothing below 0 passes.
    """

    bound: float = math.inf
    steps: float | None = None
    stochastic: bool = False
    unsigned: bool = False

    def __post_init__(self) -> None:
        if not self.bound > 0:
            raise InputError("must be positive", field="converter.bound", value=self.bound,
                             remedy="leave it out (inf) for a converter that does not clip")  # fmt: skip
        if self.steps is None:
            return
        if not (math.isfinite(self.steps) and self.steps >= 1):
            raise InputError("must be 1 or more", field="converter.steps", value=self.steps,
                             remedy="leave it out for a converter that does not round")  # fmt: skip
        if math.isinf(self.bound):
            raise InputError("needs a finite bound to step in", field="converter.steps", value=self.steps)

    @classmethod
    def of_bits(cls, bits: int, bound: float = 1.0, *, unsigned: bool = False) -> Converter:
        """A converter of 2^bits - 1 levels, symmetric about 0; or of 2^bits from 0 on.

        Raises:
            InputError: bits that are no whole number of 2 to 24 (float32 holds no finer level), or a bad bound.
        """
        if isinstance(bits, bool) or not isinstance(bits, int) or not _LEAST_BITS <= bits <= _MOST_BITS:
            raise InputError(f"must be a whole number of {_LEAST_BITS} to {_MOST_BITS}", field="converter.bits",
                             value=bits)  # fmt: skip
        return cls(bound, float(2 ** (bits + 1) - 2 if unsigned else 2**bits - 2), unsigned=unsigned)

    @property
    def resolution(self) -> float | None:
        """Size of a step; None where nothing is rounded."""
        return None if self.steps is None else 2 * self.bound / self.steps


@dataclass(frozen=True, slots=True)
class CrossbarParameters:
    """A non-ideal product of a crossbar with a vector (formulas: docs/analog.md).

    Attributes:
        dac: what inputs pass.
        adc: what outputs pass.
        perfect: whether nothing but ``output_scale`` is applied.
        input_noise: standard deviation, after the DAC.
        input_asymmetry: share by which negative inputs are smaller.
        noise_management: how inputs are scaled to the DAC: by 1, max abs x, max x, ``noise_threshold``, or the larger
            of max abs x and what the sums of one sign ask for.
        noise_threshold: the constant, or (above 0) a cap on the maximum.
        bound_management: whether a vector whose outputs clip is repeated, scaled down by 2, 4, ...
        largest_reduction: beyond which no vector is repeated; ``largest_resolution_share`` limits it by the DAC's step.
        clip_negative: whether clipping at the negative bound counts.
        sign_handling: whether negative and positive inputs are applied one after the other, and added before or after
            the ADC; in four phases positive and negative weights are read one after the other, too.
        weight_noise: standard deviation for a weight of 1 and an input of 1, drawn anew for each product.
        weight_noise_kind: ``additive`` for all weights alike, ``pcm_read`` growing with the root of the weight.
        ir_drop: scale of the drop along output wires; 0 for none, 1 as published.
        wire_ohm: resistance of the wire between two devices.
        ir_drop_g_max_us: largest conductance that the drop assumes; None for that of the device in use.
        series_resistance: in series with each output; ``series_reference`` is the (negative) weight of the reference
            line, 0 for none.
        nonlinearity: of outputs at the ADC's bound (S-shape); ``slope_calibration`` is the share that is made up for.
        output_noise: standard deviation, before the ADC.
        output_asymmetry: share by which negative outputs are smaller.
        output_scale: factor of the digital outputs.
    """

    dac: Converter = field(default_factory=Converter)
    adc: Converter = field(default_factory=Converter)
    perfect: bool = False
    input_noise: float = 0.0
    input_asymmetry: float = 0.0
    noise_management: NoiseManagement = "none"
    noise_threshold: float = 0.0
    bound_management: BoundManagement = "none"
    largest_reduction: float = 1000.0
    largest_resolution_share: float = 0.25
    clip_negative: bool = True
    sign_handling: SignHandling = "one_pass"
    weight_noise: float = 0.0
    weight_noise_kind: WeightNoise = "none"
    ir_drop: float = 0.0
    wire_ohm: float = 0.35
    ir_drop_g_max_us: float | None = None
    series_resistance: float = 0.0
    series_reference: float = -1.0
    nonlinearity: float = 0.0
    slope_calibration: float = 0.0
    output_noise: float = 0.0
    output_asymmetry: float = 0.0
    output_scale: float = 1.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _WORDS:
                if value not in _WORDS[each.name]:
                    raise UnknownNameError(each.name.replace("_", " "), str(value), _WORDS[each.name], field=each.name)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                _check_number(each.name, value)
        if self.bound_management != "none" and math.isinf(self.adc.bound):
            raise InputError("needs an ADC with a bound", field="bound_management", value=self.bound_management)

    def conductance_ratio(self, g_max_us: float) -> float:
        """Conductance of a wire segment over the largest of a device, for a device of ``g_max_us``."""
        return 1e6 / (self.wire_ohm * (g_max_us if self.ir_drop_g_max_us is None else self.ir_drop_g_max_us))


def _check_number(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise InputError("must be a finite number", field=name, value=value)
    if name in _POSITIVE and value <= 0:
        raise InputError("must be positive", field=name, value=value)
    if name not in _ANY_SIGN and value < 0:
        raise InputError("must be 0 or more", field=name, value=value)
