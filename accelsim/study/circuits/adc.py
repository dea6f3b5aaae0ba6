"""Circuit ``adc``: energy and area of analog-to-digital converters by bits, rate and node (technology/converters)."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.errors import InputError
from accelsim.hardware.technology.converters import adc_area_um2, adc_energy_pj
from accelsim.hardware.technology.span import Span
from accelsim.study.circuits.records import Circuit, Parameter, Values

__all__ = ["CIRCUIT"]

_MOST_BITS = 20


def _published(values: Values) -> tuple[Mapping[str, Span], tuple[str, ...]]:
    bits, rate, node = values.number("bits"), values.number("rate_hz"), values.number("node_nm")
    if not 1 <= bits <= _MOST_BITS:
        raise InputError(f"must be 1 to {_MOST_BITS} effective bits", file=values.circuit, field="bits", value=bits)
    energy = adc_energy_pj(bits, rate, node)
    count = values.whole("count")
    figures = {
        "energy_pj": energy,
        "power_w": energy * 1e-12 * rate * count,
        "area_um2": adc_area_um2(energy, rate, node) * count,
    }
    return {name: Span(each, each, each) for name, each in figures.items()}, (
        "regression over published converters: Andrulis et al., arXiv 2404.06553; constants of hwcomponents-adc 1.0.21",
    )


CIRCUIT = Circuit(
    "adc",
    "Analog-to-digital converters: energy of a conversion, power and area.",
    (
        Parameter("bits", "number", "effective bits"),
        Parameter("rate_hz", "number", "conversions a second of each"),
        Parameter("node_nm", "number", "process node"),
        Parameter("count", "whole", "converters side by side", 1),
    ),
    {"published": _published},
)
