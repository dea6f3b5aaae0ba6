"""Compute-in-memory macros of tool_runs.csv, from descriptions of the same circuits.

A case names a bundled architecture (`CASES`, or its own name), whose constants are the tool's energies an action, areas
and leakage of one circuit. How many circuits there are, how often each acts, times and sums are this project's, so a
wrong count is an error. A macro computes one full product after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accelsim.errors import UnknownNameError
from accelsim.study.validate.aimc_tiles import busy_tile, changed, plain
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["CASES", "macro_comparisons"]

_DIGITS = 1e-5
"""Rows have six digits."""
_UNITS = {"energy_per_mac": "fJ/MAC", "area": "um2", "throughput": "TOPS", "efficiency": "TOPS/W"}
CASES: Mapping[str, str] = {
    "basic_analog": "basic-analog",
    "neurram_nature_2022": "neurram-core",
    "wang_vlsi_2022": "wang-vlsi-2022",
    "colonnade_jssc_2021": "colonnade-2021",
    "jia_jssc_2020": "jia-jssc-2020",
    "sinangil_jssc_2021": "sinangil-jssc-2021",
}
"""Names of the tool -> bundled architectures."""
_ALSO = {"cimunit": "crossbar"}
"""Components of the tool, without case and marks -> ours, where they are called otherwise."""
_SAME = "counts and times are predicted, energies and areas of one circuit are the tool's"


def macro_comparisons(record: Record) -> Iterator[Comparison]:
    """What is predicted beside one row.

    Raises:
        UnknownNameError: a case that no architecture describes, a metric, unit or component that there is not.
    """
    case, (metric, _, part) = record.text("case"), record.text("metric").partition(".")
    if metric not in _UNITS:
        raise UnknownNameError("metric of a macro", metric, _UNITS, file=record.source, field="metric")
    if record.text("unit") != _UNITS[metric]:
        raise UnknownNameError(f"unit of {metric}", record.text("unit"), [_UNITS[metric]], file=record.source,
                               field="unit")  # fmt: skip
    tile = busy_tile(changed(CASES.get(case, case.replace("_", "-")), {}))
    measured = record.number("value")
    if metric == "throughput":
        yield Comparison("throughput_tops", tile.tops, measured, _DIGITS, "structure and times of a description")
    elif metric == "efficiency":
        yield Comparison("efficiency_tops_per_w", tile.tops_per_w, measured, _DIGITS, _SAME)
        if measured > 0:
            total = 1e3 * tile.energy_of(tile.energy_pj) / tile.macs
            yield Comparison("total_fj_per_mac", total, 2e3 / measured, _DIGITS, _SAME)
    elif metric == "energy_per_mac":
        names = _components(record, part, tile.energy_pj)
        label = "component_fj_per_mac" if part else "total_fj_per_mac"
        yield Comparison(label, 1e3 * tile.energy_of(names) / tile.macs, measured, _DIGITS, _SAME)
    else:
        names = _components(record, part, tile.area_um2)
        label = "component_area_um2" if part else "total_area_um2"
        yield Comparison(label, tile.area_of(names), measured, _DIGITS, _SAME)


def _components(record: Record, part: str, known: Mapping[str, float]) -> list[str]:
    """Our name of a component; all of them where none is named."""
    if not part:
        return list(known)
    wanted = _ALSO.get(plain(part), plain(part))
    found = next((name for name in known if plain(name) == wanted), None)
    if found is None:
        raise UnknownNameError("component of the macro", part, known, file=record.source, field="metric")
    return [found]
