"""The microscaling study as text, data and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from accelsim.report.page import Cell, code, figures, page, paragraph, section, table
from accelsim.report.plots import LEGEND_BELOW, PALETTE, Plot, layout, safe, value_axis
from accelsim.study.microscaling import ErrorPoint, MicroscalingStudy

__all__ = ["study_document", "study_html", "study_json", "study_text"]

_TOLD = (
    "Mean squared error / sigma^2. Below a crossover sigma the smaller block has the larger error: its scales fall "
    "below what UE4M3 resolves. UE5M3 has none."
)


def study_document(study: MicroscalingStudy) -> dict[str, Any]:
    """The study as plain data, as the command line's ``--json`` prints it."""
    return {"study": "microscaling", **asdict(study)}


def study_json(study: MicroscalingStudy) -> str:
    """The study as JSON text."""
    return json.dumps(study_document(study), indent=2, allow_nan=False)


def _sigmas(points: Sequence[ErrorPoint]) -> list[float]:
    return sorted({point.sigma for point in points})


def _grid(points: Sequence[ErrorPoint], distribution: str, format: str) -> dict[tuple[int, float], ErrorPoint]:
    return {
        (each.block, each.sigma): each for each in points if (each.distribution, each.format) == (distribution, format)
    }


def _names(study: MicroscalingStudy) -> tuple[list[str], list[str]]:
    """Distributions and formats in their order."""
    distributions = list(dict.fromkeys(each.distribution for each in study.errors))
    return distributions, list(dict.fromkeys(each.format for each in study.errors))


def study_text(study: MicroscalingStudy) -> str:
    """The study for a terminal: errors of the first distribution, crossovers, weights and costs."""
    distributions, formats = _names(study)
    lines = [f"Microscaling: {_TOLD}", ""]
    for format in formats:
        lines += _error_lines(study, distributions[0], format)
    lines += ["crossover sigma, by theory (block N worse than 2 N below it)"]
    for each in study.crossovers:
        lines.append(f"  {each.format:<12} {each.block:>4}/{2 * each.block:<4} {_sigma(each.sigma)}")
    if study.weights:
        lines += ["", f"weights of {study.weight_file}: error / mean square", *_weight_lines(study)]
    lines += [
        "",
        f"cost; latency and energy of {study.workload} on mx-npu where it has such a unit",
        *_cost_lines(study),
    ]
    return "\n".join(lines)


def _sigma(sigma: float | None) -> str:
    return "none" if sigma is None else f"{sigma:.4f}"


def _error_lines(study: MicroscalingStudy, distribution: str, format: str) -> list[str]:
    grid = _grid(study.errors, distribution, format)
    sigmas, blocks = _sigmas(study.errors), sorted({block for block, _ in grid})
    lines = [f"{format}, {distribution}: emulator (theory)", "  sigma " + "".join(f"{f'N={n}':>18}" for n in blocks)]
    for sigma in sigmas:
        cells = []
        for block in blocks:
            point = grid[block, sigma]
            theory = "" if point.theory is None else f" ({point.theory:.5f})"
            cells.append(f"{f'{point.monte_carlo:.5f}{theory}':>18}")
        lines.append(f"  {sigma:<6g}" + "".join(cells))
    return [*lines, ""]


def _weight_lines(study: MicroscalingStudy) -> list[str]:
    blocks = sorted({each.block for each in study.weights})
    found: dict[tuple[str, float, str], dict[int, float]] = {}
    for each in study.weights:
        found.setdefault((each.tensor, each.sigma, each.format), {})[each.block] = each.error
    head = f"  {'tensor':<28}{'sigma':>8}  {'format':<13}" + "".join(f"{f'N={n}':>9}" for n in blocks)
    return [head] + [
        f"  {tensor[-27:]:<28}{sigma:>8.4f}  {format:<13}" + "".join(f"{errors[n]:>9.5f}" for n in blocks)
        for (tensor, sigma, format), errors in found.items()
    ]


def _cost_lines(study: MicroscalingStudy) -> list[str]:
    lines = [f"  {'format':<13}{'block':>6}{'bits/element':>14}{'scale B/1024':>14}{'latency':>14}{'energy':>12}"]
    for each in study.costs:
        latency = "-" if each.latency_s is None else f"{each.latency_s * 1e3:.4g} ms"
        energy = "-" if each.energy_j is None else f"{each.energy_j * 1e3:.4g} mJ"
        lines.append(
            f"  {each.format:<13}{each.block:>6}{each.bits_per_element:>14.4f}{each.scale_bytes_per_1024:>14g}"
            f"{latency:>14}{energy:>12}"
        )
    return lines


def study_html(study: MicroscalingStudy) -> str:
    """The study as a self-contained page."""
    distributions, _ = _names(study)
    plots = [_plot(study, name, number) for number, name in enumerate(distributions)]
    parts = [
        Cell("<h1>Microscaling: block size, scale format, error and cost</h1>"), paragraph(_TOLD, "lead"),
        *(section(safe(name), [figures([plot])]) for name, plot in zip(distributions, plots, strict=True)),
        section("Crossover sigma, by theory", [_crossover_table(study)]),
    ]  # fmt: skip
    if study.weights:
        parts.append(section(f"Weights of {study.weight_file}", [_weight_table(study)]))
    parts.append(section(f"Cost; {study.workload} on mx-npu", [_cost_table(study)]))
    return page("Microscaling", parts, plots)


def _plot(study: MicroscalingStudy, distribution: str, number: int) -> Plot:
    """Error of the emulator against sigma, a line a format and block; formats beyond two start hidden."""
    _, formats = _names(study)
    sigmas = _sigmas(study.errors)
    traces: list[dict[str, Any]] = []
    for index, format in enumerate(formats):
        grid = _grid(study.errors, distribution, format)
        blocks = sorted({block for block, _ in grid})
        for place, block in enumerate(blocks):
            points = [grid[block, sigma] for sigma in sigmas]
            colour = PALETTE[index % len(PALETTE)]
            traces.append({
                "type": "scatter", "mode": "lines+markers", "x": sigmas, "y": [each.monte_carlo for each in points],
                "name": safe(f"{format} N={block}"), "line": {"color": colour, "width": 0.8 + 0.5 * place},
                "legendgroup": format, "visible": True if format in formats[:3:2] else "legendonly",
            })  # fmt: skip
    described = layout("Error / sigma^2 against sigma", 620, legend_lines=6)
    described |= {"xaxis": value_axis("sigma", type="log"), "yaxis": value_axis("error / sigma^2", type="log"),
                  "legend": LEGEND_BELOW}  # fmt: skip
    return Plot(f"errors-{number}", traces, described)


def _crossover_table(study: MicroscalingStudy) -> Cell:
    rows = [(code(each.format), f"{each.block}/{2 * each.block}", _sigma(each.sigma)) for each in study.crossovers]
    return table(["scale", "blocks", "sigma"], rows, ["name", "number", "number"])


def _weight_table(study: MicroscalingStudy) -> Cell:
    rows = [
        (code(each.tensor), f"{each.sigma:.4g}", code(each.format), str(each.block), f"{each.error:.5f}")
        for each in study.weights
    ]
    return table(["tensor", "sigma", "format", "block", "error"], rows, ["name", "number", "name", "number", "number"])


def _cost_table(study: MicroscalingStudy) -> Cell:
    rows = [
        (
            code(each.format), str(each.block), f"{each.bits_per_element:.4f}", f"{each.scale_bytes_per_1024:g}",
            each.unit or "-", "-" if each.latency_s is None else f"{each.latency_s * 1e3:.4g}",
            "-" if each.energy_j is None else f"{each.energy_j * 1e3:.4g}",
        )
        for each in study.costs
    ]  # fmt: skip
    head = ["format", "block", "bits an element", "scale bytes in 1024", "unit", "latency [ms]", "energy [mJ]"]
    return table(head, rows, ["name", "number", "number", "number", "name", "number", "number"])
