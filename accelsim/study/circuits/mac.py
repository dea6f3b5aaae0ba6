"""Circuit ``mac``: energy and area of a multiply-accumulate by formats and width."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.hardware.technology.arithmetic import ProcessingElement, with_layout
from accelsim.hardware.technology.operands import operand_named
from accelsim.hardware.technology.scaling import checked_node
from accelsim.hardware.technology.span import Span
from accelsim.study.circuits.hwcomponents import aladdin_mac
from accelsim.study.circuits.records import Circuit, Parameter, Values

__all__ = ["CIRCUIT"]


def _published(values: Values) -> tuple[Mapping[str, Span], tuple[str, ...]]:
    where = values.circuit
    element = ProcessingElement(
        operand_named(values.word("format"), file=where),
        operand_named(values.word("accumulator"), field="accumulator", file=where),
        values.whole("reduction"), values.whole("columns"), checked_node(values.number("node_nm"), file=where),
    )  # fmt: skip
    energy, area = element.mac_energy(), element.area_um2()
    figures = {
        "energy_pj": energy.total_pj,
        "arithmetic_energy_pj": energy.arithmetic_pj,
        "register_energy_pj": energy.registers_pj,
        "area_um2": with_layout(area) / element.macs,
        "operators_area_um2": area / element.macs,
        "element_area_um2": with_layout(area),
    }
    return figures, (
        "operators at 45 nm (Horowitz, ISSCC 2014) and 7 nm (Jouppi et al., ISCA 2021), registers after Aladdin (ISCA "
        "2014), between nodes by Stillmaker and Baas, Integration 58, 2017",
        "layout: calibrated on the floor plan of TPUv1 (ISCA 2017)",
    )


CIRCUIT = Circuit(
    "mac",
    "A multiply-accumulate: energy and area of one, in a processing element of reduction x columns of them.",
    (
        Parameter("format", "word", "format of both operands"),
        Parameter("node_nm", "number", "process node"),
        Parameter("accumulator", "word", "format that products are added up in", "fp32"),
        Parameter("reduction", "whole", "products of one dot product", 1),
        Parameter("columns", "whole", "dot products side by side", 1),
    ),
    {"published": _published, "hwcomponents": aladdin_mac},
)
