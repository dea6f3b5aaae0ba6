"""Crossbars by name. Each says where its constants were published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from accelsim.errors import UnknownNameError
from accelsim.numerics.analog.parameters import Converter, CrossbarParameters

__all__ = ["CROSSBARS", "crossbar_named"]

_RASCH_2023 = CrossbarParameters(
    dac=Converter.of_bits(8, 1.0),
    adc=Converter.of_bits(8, 10.0),
    noise_management="constant",
    noise_threshold=1.0,
    weight_noise=0.0175,
    weight_noise_kind="pcm_read",
    ir_drop=1.0,
    output_noise=0.04,
)
"""Rasch et al., Nature Communications 14, 2023: the standard crossbar model. The range of inputs is learned per layer
(``noise_threshold``); wires of 0.35 ohm a cell."""

CROSSBARS: Mapping[str, CrossbarParameters] = MappingProxyType(
    {
        "ideal": CrossbarParameters(perfect=True),
        "rasch-2023": _RASCH_2023,
        # The publication's drop belongs to devices of 5 uS, whatever device is in use.
        "rasch-2023-published": replace(_RASCH_2023, ir_drop_g_max_us=5.0),
        # The same converters without anything random or resistive: what a quantised product costs alone.
        "rasch-2023-quantised": replace(
            _RASCH_2023, weight_noise=0.0, weight_noise_kind="none", ir_drop=0.0, output_noise=0.0
        ),
        # Inputs scaled to their own maximum, vectors that clip repeated: the general-purpose setting of aihwkit 1.1.
        "managed-9bit": CrossbarParameters(
            dac=Converter(1.0, 126.0),
            adc=Converter(12.0, 510.0),
            noise_management="abs_max",
            bound_management="iterative",
            weight_noise=0.0,
            output_noise=0.06,
        ),
    }
)
"""Name -> crossbar."""


def crossbar_named(name: str) -> CrossbarParameters:
    """The crossbar called ``name``.

    Raises:
        UnknownNameError: there is none ("did you mean").
    """
    if name not in CROSSBARS:
        raise UnknownNameError("crossbar", name, CROSSBARS)
    return CROSSBARS[name]
