"""The page of what skips cost: the dataflow with its skips, bars by resource and part, and the steps of the saving."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.report.page import Cell, code, figures, folded, notes_box, page, paragraph, section, table, text
from accelsim.report.plots import LEGEND_BELOW, PALETTE, Plot, bars, layout, rows_axis, safe, value_axis
from accelsim.report.quantities import percent, plain, quantity
from accelsim.report.skips import RESOURCES, base_block, of_frames
from accelsim.report.skips_drawing import dataflow_drawing
from accelsim.study.skip_steps import Block, StepPoint, step_functions
from accelsim.study.skips import PARTS, SkipComparison, SkipVariant
from accelsim.workload.rewrite.report import rewrite_words

__all__ = ["skips_html"]

_SHOWN = ("bram18", "lut", "ff", "dsp")
_SKIP_PARTS = PARTS[:4]
_FEW_TICKS = 6
_STYLES = {"finn": "FINN", "hls4ml": "hls4ml"}
_AXES = {
    "width": "Width of the image [pixels]",
    "channels": "Channels",
    "bits": "Bits of an element",
    "reuse": "Cycles a pixel (reuse factor)",
}


def skips_html(found: SkipComparison) -> str:
    """The comparison as one self-contained HTML page."""
    base = found.baseline.evaluation
    title = f"Skip connections of {base.workload.name} on {base.architecture.name} in {base.choice.label}"
    main = [_totals(found, key) for key in _SHOWN if any(each.evaluation.resources[key]["used"] for each in
                                                         found.variants.values())]  # fmt: skip
    parts = [_skip_parts(found, key) for key in ("bram18", "lut", "ff")]
    block = base_block(found)
    steps = [] if block is None else _steps(block)
    broken = [f"{name}: {words}" for name, each in found.variants.items() for words in each.evaluation.check()]
    body = [
        Cell(f"<h1>{text(title)}</h1>"),
        paragraph(f"{base.architecture.description.description}. {base.summary}", "lead"),
        notes_box([f"A certificate of this result is broken: {words}." for words in broken], bad=True),
        _summary(found),
        section("What changes", [figures(main)]),
        section("What the skips take", [_parts_note(found), figures(parts), *_fifo_tables(found)]),
        section("Dataflow", [Cell(dataflow_drawing(each)) for each in found.variants.values()]),
        section("Steps", [_steps_note(block), figures(steps)] if block is not None else []),
        section("Outputs", [paragraph(f"{found.numerics[0].upper()}{found.numerics[1:]}."), _outputs(found)]),
    ]
    return page(title, body, [*main, *parts, *steps])


def _summary(found: SkipComparison) -> Cell:
    runs = {name: each.evaluation for name, each in found.variants.items()}
    base = found.baseline.evaluation
    rows = []
    for key, label in RESOURCES.items():
        row, budget = [label], base.resources[key]["budget"]
        for run in runs.values():
            used, before = run.resources[key]["used"], base.resources[key]["used"]
            share = f", {percent(used / budget)}" if budget else ""
            change = f" ({100 * (used - before) / before:+.1f} %)" if before and run is not base else ""
            row.append(f"{used:,.0f}{share}{change}")
        rows.append(row)
    variants = found.variants.values()
    rows.append(["Skip FIFOs", *(f"{len(each.fifos)}, {quantity(each.fifo_bytes, 'B')}" for each in variants)])
    rows.append([f"Latency{of_frames(base.workload.batch)}", *(quantity(run.latency_s, "s") for run in runs.values())])
    rows.append(["Throughput", *(plain(run.throughput_per_s, "/s") for run in runs.values())])
    rows.append(["Cycles a frame", *(f"{run.interval_cycles:,}" for run in runs.values())])
    words = [rewrite_words(each) for run in runs.values() for each in run.workload.rewrites]
    head = ["", *(f"{name} (share of the device)" for name in runs)]
    notes = "".join(paragraph(each, "soft") for each in words)
    return Cell(table(head, rows, ("label", *["number"] * len(runs)), "summary") + notes)


def _totals(found: SkipComparison, key: str) -> Plot:
    """One resource of all variants, by part."""
    names = list(found.variants)
    data = []
    for place, part in enumerate(reversed(PARTS)):
        values = [float(_of(each, part, key)) for each in found.variants.values()]
        pairs = zip(names, values, strict=True)
        hover = [f"<b>{safe(name)}</b><br>{safe(part)}: {value:,.0f}" for name, value in pairs]
        colour = PALETTE[(len(PARTS) - 1 - place) % len(PALETTE)]
        data.append(bars(values, hover, colour, name=part, width=0.6))
    axes = {
        "xaxis": value_axis(RESOURCES[key]), "yaxis": rows_axis(names, "", 16), "barmode": "stack",
        "legend": LEGEND_BELOW,
    }  # fmt: skip
    shape = layout(RESOURCES[key], rows=len(names) + 1, legend_lines=2)
    return Plot(f"total-{key}", data, {**shape, **axes}, wide=False)


def _of(variant: SkipVariant, part: str, key: str) -> int:
    return variant.parts[part].by_name()[key]


def _skip_parts(found: SkipComparison, key: str) -> Plot:
    """One resource of what skips are made of."""
    data = []
    for place, (name, variant) in enumerate(found.variants.items()):
        values = [float(_of(variant, part, key)) for part in _SKIP_PARTS]
        hover = [f"<b>{safe(name)}</b><br>{safe(part)}: {value:,.0f}"
                 for part, value in zip(_SKIP_PARTS, values, strict=True)]  # fmt: skip
        data.append(bars(values, hover, PALETTE[place % len(PALETTE)], name=safe(name)))
    axes = {
        "xaxis": value_axis(RESOURCES[key]), "yaxis": rows_axis(_SKIP_PARTS, "", 16), "barmode": "group",
        "legend": LEGEND_BELOW,
    }  # fmt: skip
    shape = layout(f"{RESOURCES[key]} of skips", rows=2 * len(_SKIP_PARTS), legend_lines=1)
    return Plot(f"skips-{key}", data, {**shape, **axes}, wide=False)


def _parts_note(found: SkipComparison) -> Cell:
    base = found.baseline
    words = []
    for key in ("bram18", "lut"):
        whole = base.evaluation.resources[key]["used"]
        if whole:
            words.append(f"{percent(_of(base, 'skip FIFOs', key) / whole)} of the {RESOURCES[key]}")
    share = f"Skip FIFOs hold {' and '.join(words)} of {base.name}. " if words else ""
    return paragraph(
        f"{share}A saving is a step: up to a threshold a FIFO is shift registers, beyond it whole block RAMs, so that "
        "two short FIFOs can take more block RAM than one long one, or none at all."
    )


def _fifo_tables(found: SkipComparison) -> list[Cell]:
    made = []
    head = ("ends in", "pixels", "without deadlock", "bits a pixel", "bytes", "LUT", "FF", "BRAM (18 Kb)")
    for name, variant in found.variants.items():
        rows = [
            (code(each.join), f"{each.depth:,}", f"{each.least_depth:,}", f"{each.pixel_bits:,}",
             f"{each.stored_bytes:,.0f}", f"{each.resources.lut:,}", f"{each.resources.ff:,}",
             f"{each.resources.bram18:,}")
            for each in variant.fifos
        ]  # fmt: skip
        if rows:
            kinds = ("name", *["number"] * 7)
            made.append(folded(f"{len(rows)} skip FIFOs, {name}", table(head, rows, kinds)))
    return made


def _steps_note(block: Block) -> Cell:
    return paragraph(
        f"One residual block of two 3 x 3 convolutions: one long skip (keep) or two short ones (shorten). Where not "
        f"said otherwise the image is {block.width} pixels wide, with {block.channels} channels of {block.bits} bits, "
        f"{block.reuse} cycles a pixel, FIFOs as {_STYLES[block.style]} builds them. Depths are simulated and lose no "
        "cycle."
    )


def _steps(block: Block) -> list[Plot]:
    plots = []
    for name, by_variant in step_functions(block).items():
        for key, label in (("bram18", "BRAM (18 Kb)"), ("lut", "LUT")):
            data = [
                _step_trace(variant, points, key, PALETTE[place])
                for place, (variant, points) in enumerate(by_variant.items())
            ]
            axes = {
                "xaxis": value_axis(_AXES[name], **_scale(name, by_variant["keep"])),
                "yaxis": value_axis(f"{label} of skip FIFOs", rangemode="tozero", **_whole_ticks(by_variant, key)),
                "legend": LEGEND_BELOW,
            }  # fmt: skip
            shape = layout(f"{label} over {name}", 300, legend_lines=1)
            plots.append(Plot(f"steps-{name}-{key}", data, {**shape, **axes}, wide=False))
    return plots


def _scale(name: str, points: list[StepPoint]) -> dict[str, object]:
    """Sizes that double stand at equal distances, each with its number."""
    if name not in ("channels", "reuse"):
        return {}
    values = [point.value for point in points]
    return {"type": "log", "tickmode": "array", "tickvals": values, "ticktext": [str(each) for each in values]}


def _whole_ticks(by_variant: Mapping[str, list[StepPoint]], key: str) -> dict[str, object]:
    """No ticks at halves of a block RAM."""
    most = max(point.fifos.by_name()[key] for points in by_variant.values() for point in points)
    return {"dtick": 1} if most <= _FEW_TICKS else {}


def _step_trace(variant: str, points: list[StepPoint], key: str, colour: str) -> dict[str, object]:
    hover = [f"{variant}: {point.depth} pixels deep, {point.fifos.by_name()[key]:,}" for point in points]
    return {
        "type": "scatter", "mode": "lines+markers", "name": variant, "x": [point.value for point in points],
        "y": [point.fifos.by_name()[key] for point in points], "line": {"color": colour, "shape": "hv"},
        "cliponaxis": False,
        "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _outputs(found: SkipComparison) -> Cell:
    changes = [(name, each.change) for name, each in found.variants.items() if each.change is not None]
    if not changes:
        return Cell("")
    rows = [(name, percent(each.fp32), percent(each.quantised), percent(each.quantisation)) for name, each in changes]
    head = ("", "change in FP32", "change, quantised", "quantising alone")
    return table(head, rows, ("label", "number", "number", "number"))
