"""The technology model: the published tables come out at their nodes, and nothing runs the wrong way between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.technology.arithmetic import ProcessingElement
from accelsim.hardware.technology.memory import dram_energy_pj, link_area_mm2, sram_area_mm2, sram_energy_pj
from accelsim.hardware.technology.operands import operand_named
from accelsim.hardware.technology.scaling import NODES_NM, bitcell_um2, energy_pj, logic_um2, usual_voltage_v
from accelsim.hardware.technology.span import Span
from accelsim.hardware.technology.tables import DRAM_TYPES, Anchor, tables

ENTRIES = list(Anchor.model_fields)
nodes = st.floats(*NODES_NM)


def element(name, accumulator="fp32", node=7.0, reduction=1, columns=1):
    return ProcessingElement(operand_named(name), operand_named(accumulator), reduction, columns, node)


def inside(span, value, slack=1.0):
    return span.low / slack <= value <= span.high * slack


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("node", [45, 7])
def test_tables_come_out_at_their_own_nodes(entry, node):
    published = getattr(tables().anchors[node], entry)
    assert energy_pj(entry, node).value == pytest.approx(published.value)


@given(entry=st.sampled_from(ENTRIES), ends=st.tuples(nodes, nodes))
def test_energy_falls_with_the_node(entry, ends):
    small, large = (energy_pj(entry, node) for node in sorted(ends))
    assert small.value <= large.value * (1 + 1e-9)
    assert small.low <= small.value <= small.high


@given(ends=st.tuples(nodes, nodes))
def test_areas_fall_with_the_node(ends):
    (a, c), (b, d) = ((logic_um2("int_add_um2_per_bit", n).value, bitcell_um2(n).value) for n in sorted(ends))
    assert a <= b * (1 + 1e-9)
    assert c <= d * (1 + 1e-9)


@given(node=nodes)
def test_between_the_tables_lies_between_them(node):
    for entry in ENTRIES:
        old, new = energy_pj(entry, 45).value, energy_pj(entry, 7).value
        if 7 <= node <= 45:
            assert new * (1 - 1e-9) <= energy_pj(entry, node).value <= old * (1 + 1e-9)


# Horowitz, ISSCC 2014 and Dally's areas (45 nm); Jouppi et al., ISCA 2021 (7 nm), its last two figures recalled.
# The model composes operators from widths, so it need not give them exactly: the tolerances say how far off it is.
@pytest.mark.parametrize(
    ("name", "node", "multiply_pj", "tolerance"),
    [
        ("int8", 45, 0.2, 0.01), ("int32", 45, 3.1, 0.04), ("fp16", 45, 1.1, 0.01), ("fp32", 45, 3.7, 0.1),
        ("int8", 7, 0.07, 0.01), ("bf16", 7, 0.21, 0.17), ("fp32", 7, 1.31, 0.13),
        ("int32", 7, 1.48, 0.25), ("fp16", 7, 0.34, 0.1),
    ],
)  # fmt: skip
def test_multiplies_of_the_tables(name, node, multiply_pj, tolerance):
    none = Span(0, 0, 0)
    made = element(name, node=node)._multiply("pj")
    assert made + none == made
    assert made.value == pytest.approx(multiply_pj, rel=tolerance)
    assert inside(made, multiply_pj, 1.03)


@pytest.mark.parametrize(
    ("name", "area_um2", "tolerance"),
    [("int8", 282, 0.01), ("int32", 3495, 0.3), ("fp16", 1640, 0.4), ("fp32", 7700, 0.21)],
)
def test_multiplier_areas_of_the_table(name, area_um2, tolerance):
    made = element(name, node=45)._multiply("um2")
    assert made.value == pytest.approx(area_um2, rel=tolerance)
    assert inside(made, area_um2, 1.02)


@pytest.mark.parametrize(
    ("node", "figures"), [(45, {8: 10, 32: 20, 1024: 100}), (7, {8: 7.5, 32: 8.5, 1024: 14})]
)  # fmt: skip
def test_sram_of_the_tables(node, figures):
    for kib, published in figures.items():
        access = sram_energy_pj(kib * 1024, 64, node)
        assert access.value == pytest.approx(published)


@given(ends=st.tuples(st.floats(64, 1e9), st.floats(64, 1e9)), width=st.integers(8, 1024), node=nodes)
def test_larger_memories_cost_more(ends, width, node):
    small, large = sorted(ends)
    assert sram_energy_pj(small, width, node).value <= sram_energy_pj(large, width, node).value * (1 + 1e-9)
    assert sram_area_mm2(small, 1, node).value <= sram_area_mm2(large, 1, node).value
    assert sram_area_mm2(large, 1, node).value <= sram_area_mm2(large, 2, node).value
    assert sram_energy_pj(large, width, node).value <= sram_energy_pj(large, width + 1, node).value


@given(widths=st.tuples(st.integers(1, 64), st.integers(1, 64)), node=nodes)
def test_wider_integers_cost_more(widths, node):
    narrow, wide = (element(f"int{bits}", "int32", node) for bits in sorted(widths))
    assert narrow.mac_energy().total_pj.value <= wide.mac_energy().total_pj.value * (1 + 1e-9)
    assert narrow.area_um2().value <= wide.area_um2().value * (1 + 1e-9)


def test_integers_add_into_integers():
    assert element("int8", "fp32").mac_energy() == element("int8", "int32").mac_energy()
    assert element("fp16", "fp32").mac_energy().total_pj.value > element("fp16", "fp16").mac_energy().total_pj.value


def test_scales_cost_less_the_larger_their_block():
    # NVFP4 multiplies its scales for 16 elements, MXFP4 adds exponents for 32; plain FP4 has none.
    plain, mx, nv = (element(n, reduction=32).mac_energy().total_pj.value for n in ("fp4_e2m1", "mxfp4", "nvfp4"))
    assert plain < mx < nv
    areas = [element(n, reduction=32).area_um2().value for n in ("fp4_e2m1", "mxfp4", "nvfp4")]
    assert areas == sorted(areas)


def test_dot_products_share_their_accumulator():
    alone, four = element("bf16").mac_energy(), element("bf16", reduction=4).mac_energy()
    assert four.arithmetic_pj.value < alone.arithmetic_pj.value
    assert four.registers_pj.value < alone.registers_pj.value


def test_a_column_more_is_an_area_more():
    one, eight = element("fp16").area_um2(), element("fp16", columns=8).area_um2()
    assert eight.value == pytest.approx(8 * one.value)


@pytest.mark.parametrize("kind", [each for each in DRAM_TYPES if each != "on_chip_sram"])
def test_dram_by_type(kind):
    assert 10 <= dram_energy_pj(kind, 1.0).value <= 350
    assert link_area_mm2(kind, 1e11).value > 0


def test_newer_dram_takes_less():
    for older, newer in (
        ("ddr3", "ddr5"),
        ("ddr4", "lpddr4"),
        ("lpddr4", "lpddr5"),
        ("gddr5", "gddr6"),
        ("hbm2", "hbm3"),
    ):
        assert dram_energy_pj(newer, 1.0).value < dram_energy_pj(older, 1.0).value


@pytest.mark.parametrize("node", [2.9, 131.0, 250.0])
def test_nodes_that_nothing_is_published_for(node):
    for ask in (
        lambda: energy_pj("int_add_pj_per_bit", node),
        lambda: bitcell_um2(node),
        lambda: usual_voltage_v(node),
    ):
        with pytest.raises(InputError, match="3 to 130 nm"):
            ask()


def test_operands_that_are_none():
    with pytest.raises(UnknownNameError, match="int8"):
        operand_named("int88")


def test_every_constant_has_an_owner():
    owned = [each for anchor in tables().anchors.values() for _, each in anchor]
    owned += [
        each for part in (tables().logic_45, tables().layout, tables().wires, tables().leakage) for _, each in part
    ]
    owned += [each for link in (*tables().dram.values(), tables().host) for _, each in link]
    assert all(each.source for each in owned)
    assert all(each.low is not None and each.why for each in owned if each.assumed)


def test_spans_keep_their_order():
    with pytest.raises(ValueError, match="does not lie"):
        Span(1.0, 2.0, 3.0)
    assert (Span(2, 1, 3) + Span(1, 1, 1)) * 2 == Span(6, 4, 8)
    assert Span(2, 1, 4) / Span(2, 1, 4) == Span(1, 0.25, 4)
