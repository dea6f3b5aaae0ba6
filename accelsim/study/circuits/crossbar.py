"""Circuit ``crossbar``: what wire resistance costs a crossbar's outputs, by the polynomial and by nodal analysis.

Weights are normal (standard deviation 0.25, clipped at 1), inputs uniform, both from a fixed seed; drops are root mean
squares over those of the ideal outputs.
"""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.hardware.technology.span import Span
from accelsim.study.circuits.records import Circuit, Parameter, Values

__all__ = ["CIRCUIT"]

_VECTORS, _SEED = 8, 0
_WEIGHT_STD = 0.25


def _nodal(values: Values) -> tuple[Mapping[str, Span], tuple[str, ...]]:
    import numpy as np

    from accelsim.numerics.analog import compare_wires

    rng = np.random.default_rng(_SEED)
    outputs, inputs = values.whole("outputs"), values.whole("inputs")
    weights = np.clip(rng.normal(0, _WEIGHT_STD, (outputs, inputs)), -1, 1)
    x = rng.uniform(0 if values.word("input_signs") == "positive" else -1, 1, (_VECTORS, inputs))
    found = compare_wires(
        weights, x, g_max_us=values.number("g_max_us"), wire_ohm=values.number("wire_ohm"),
        input_wire_ohm=values.number("input_wire_ohm") if values.has("input_wire_ohm") else 0.0,
    )  # fmt: skip
    figures = {
        "nodal_drop": found.exact_drop,
        "polynomial_drop": found.polynomial_drop,
        "difference": found.difference,
    }
    return {name: Span(each, each, each) for name, each in figures.items()}, (
        "nodal analysis of both arrays of a pair by Kirchhoff's laws",
        "polynomial: Rasch et al., Nature Communications 14, 2023, for the conductance and wires that are given",
    )


CIRCUIT = Circuit(
    "crossbar",
    "Wire resistance of a crossbar: the drop of its outputs by nodal analysis, by the polynomial, and the difference.",
    (
        Parameter("inputs", "whole", "input wires"),
        Parameter("outputs", "whole", "outputs, a pair of wires each"),
        Parameter("g_max_us", "number", "largest conductance of a device", 25.0),
        Parameter("wire_ohm", "number", "a segment of an output wire", 0.35),
        Parameter(
            "input_wire_ohm", "number", "a segment of an input wire, which the polynomial ignores", optional=True
        ),
        Parameter("input_signs", "word", "both or positive", "both", ("both", "positive")),
    ),
    {"published": _nodal},
)
