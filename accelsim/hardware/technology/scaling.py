"""Energies and areas from one node to another.

Two tables of energies are published, for 45 nm and for 7 nm. Stillmaker and Baas's equations (Integration 58, 2017)
say how the energy of a gate changes between nodes, but over the whole way from 45 to 7 nm they promise a factor of
about ten, where the two tables show two to four. So the tables fix both ends, and the equations only say how far along
the way a node between them is:

    e(node) = e45^(1 - t) e7^t,  t = ln(S45 / S_node) / ln(S45 / S7)

with S the equation at each node's usual voltage. Above 45 nm the equations scale the 45 nm table. Below 7 nm,
where they end, claims of the foundries scale the 7 nm table. The two device types of the equations give the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from accelsim.errors import InputError
from accelsim.hardware.technology.span import Span, span_of
from accelsim.hardware.technology.tables import Anchor, EnergyFactor, Logic, tables

__all__ = ["NODES_NM", "bitcell_um2", "checked_node", "energy_pj", "logic_um2", "usual_voltage_v"]

NODES_NM = (3.0, 130.0)
"""The smallest and the largest node that the model covers."""
_OLD, _NEW = 45, 7


def checked_node(node_nm: float, *, field: str = "node_nm", file: object = None) -> float:
    """``node_nm`` where the model covers it.

    Raises:
        InputError: outside of 3 to 130 nm.
    """
    low, high = NODES_NM
    if not low <= node_nm <= high:
        raise InputError(f"is outside of the {low:g} to {high:g} nm that the published tables and scaling rules cover",
                         file=file, field=field, value=node_nm, remedy="state energies and area yourself")  # fmt: skip
    return node_nm


@cache
def energy_pj(entry: str, node_nm: float) -> Span:
    """One entry of the energy tables at a node, in the unit of the entry's name."""
    known = tables().anchors
    old, new = (_entry(known[node], entry) for node in (_OLD, _NEW))
    node = checked_node(node_nm)
    if node >= _OLD:
        return old * _old_ratio(node)
    if node <= _NEW:
        return new * _claimed(node, lambda claim: span_of(claim.energy))
    ends = [_along(node, kind) for kind in ("high_performance", "low_power")]
    values = [old.value ** (1 - t) * new.value**t for t in ends]
    low = min(old.low ** (1 - t) * new.low**t for t in ends)
    high = max(old.high ** (1 - t) * new.high**t for t in ends)
    return Span(math.sqrt(values[0] * values[1]), low, high)


def logic_um2(entry: str, node_nm: float) -> Span:
    """One entry of the logic areas at a node, in the unit of the entry's name; before layout."""
    return _logic_entry(tables().logic_45, entry) * _area_ratio(checked_node(node_nm))


@cache
def usual_voltage_v(node_nm: float) -> float:
    """The voltage that energies of a node are stated at; between nodes of the equations on a line of logarithms."""
    known = {float(node): factor.nominal_v for node, factor in tables().energy_scaling.items()}
    node = min(max(checked_node(node_nm), min(known)), max(known))
    below, above = _neighbours(node, tuple(known))
    t = math.log(node / below) / math.log(above / below) if above > below else 0.0
    return known[below] * (1 - t) + known[above] * t


@cache
def bitcell_um2(node_nm: float) -> Span:
    """Area of an SRAM cell; between two published nodes on the line of their logarithms."""
    cells = {float(node): span_of(cell) for node, cell in tables().bitcell_um2.items()}
    node = checked_node(node_nm)
    below, above = _neighbours(node, tuple(cells))
    if below == above:
        return cells[below]
    t = math.log(node / below) / math.log(above / below)
    return _between(cells[below], cells[above], t)


@cache
def _area_ratio(node: float) -> Span:
    """Logic area at a node relative to 45 nm."""
    known = {float(each): Span(ratio, ratio, ratio) for each, ratio in tables().area_scaling.items()}
    for each, claim in tables().beyond_7.items():
        known[float(each)] = known[_NEW] * span_of(claim.area)
    below, above = _neighbours(node, tuple(known))
    if below == above:
        return known[below]
    return _between(known[below], known[above], math.log(node / below) / math.log(above / below))


def _old_ratio(node: float) -> Span:
    """Energy at 45 nm and above relative to 45 nm: the mean of the two device types, which is their range."""
    ratios = [_factor(node, kind) / _factor(_OLD, kind) for kind in ("high_performance", "low_power")]
    return Span(math.sqrt(ratios[0] * ratios[1]), min(ratios), max(ratios))


def _claimed(node: float, of: Callable[..., Span]) -> Span:
    """What is claimed of a node of 7 nm or less, relative to 7 nm."""
    known = {float(each): of(claim) for each, claim in tables().beyond_7.items()} | {7.0: Span(1.0, 1.0, 1.0)}
    below, above = _neighbours(node, tuple(known))
    if below == above:
        return known[below]
    return _between(known[below], known[above], math.log(node / below) / math.log(above / below))


def _along(node: float, kind: str) -> float:
    """How far a node is on the way from 45 nm (0) to 7 nm (1), by the energy of a gate."""
    start, end = _factor(_OLD, kind), _factor(_NEW, kind)
    t = math.log(start / _factor(node, kind)) / math.log(start / end)
    return min(max(t, 0.0), 1.0)


def _factor(node: float, kind: str) -> float:
    """Energy of a gate at a node's usual voltage, in the equation's unit; between its nodes on a line of logarithms."""
    known = tables().energy_scaling
    below, above = _neighbours(float(node), tuple(float(each) for each in known))
    ends = [math.log(_at_nominal(known[int(each)], kind)) for each in (below, above)]
    t = math.log(node / below) / math.log(above / below) if above > below else 0.0
    return math.exp(ends[0] * (1 - t) + ends[1] * t)


def _at_nominal(factor: EnergyFactor, kind: str) -> float:
    a, b, c = factor.high_performance if kind == "high_performance" else factor.low_power
    return a * factor.nominal_v**2 + b * factor.nominal_v + c


def _neighbours(node: float, known: tuple[float, ...]) -> tuple[float, float]:
    """The nearest known nodes around ``node``; itself twice where it is known."""
    return max(each for each in known if each <= node), min(each for each in known if each >= node)


def _between(first: Span, last: Span, t: float) -> Span:
    low, value, high = (
        math.exp((1 - t) * math.log(a) + t * math.log(b))
        for a, b in ((first.low, last.low), (first.value, last.value), (first.high, last.high))
    )
    return Span(value, min(low, value), max(high, value))


def _entry(anchor: Anchor, name: str) -> Span:
    return span_of(getattr(anchor, name))


def _logic_entry(logic: Logic, name: str) -> Span:
    return span_of(getattr(logic, name))
