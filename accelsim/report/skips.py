"""What skips cost, as plain data and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from accelsim.cost.fpga.resources import Resources
from accelsim.pipeline import FpgaEvaluation
from accelsim.report.document import result_document
from accelsim.report.quantities import percent, plain, quantity, short
from accelsim.study.estimate import Estimate
from accelsim.study.skip_steps import Block, StepPoint, step_functions
from accelsim.study.skips import PARTS, SkipComparison, SkipVariant
from accelsim.version import __version__
from accelsim.workload.rewrite.report import rewrite_words

__all__ = ["RESOURCES", "base_block", "of_frames", "skips_document", "skips_text"]

RESOURCES = {
    "bram18": "BRAM (18 Kb)", "lut": "LUT", "ff": "FF", "dsp": "DSP", "uram": "URAM", "lutram": "LUT as memory",
}  # fmt: skip
"""Resources of a device in the order in which skips take them, and what people call them."""
_WIDTH, _MOST_FIFOS = 100, 30


def skips_document(found: SkipComparison) -> dict[str, object]:
    """The comparison as JSON data: ``variants`` are results as of `simulate`, each with ``skips``.

    ``change`` is against the first variant: absolute, relative and in shares of the device's budget. ``saving_by_part``
    says where it comes from. ``steps`` is what the skips of one block take over width, channels, bits and reuse.
    """
    block = base_block(found)
    steps = {} if block is None else {
        name: {variant: [_point(each) for each in points] for variant, points in by_variant.items()}
        for name, by_variant in step_functions(block).items()
    }  # fmt: skip
    base = found.baseline.evaluation
    return {
        "workload": base.workload.name,
        "architecture": base.architecture.name,
        "precision": base.choice.label,
        "baseline": found.baseline.name,
        "variants": {name: _variant(found, each) for name, each in found.variants.items()},
        "numerics": found.numerics,
        "steps_of": None if block is None else asdict(block),
        "steps": steps,
        "version": __version__,
    }


def _variant(found: SkipComparison, variant: SkipVariant) -> dict[str, object]:
    run = variant.evaluation
    change = variant.change
    skips = {
        "rewrites": [rewrite_words(each) for each in run.workload.rewrites],
        "parts": {name: each.by_name() for name, each in variant.parts.items()},
        "saving_by_part": found.saving(variant.name),
        "change": _change(run, found.baseline.evaluation),
        "fifos": [
            {"stream": each.stream, "join": each.join, "depth_pixels": each.depth,
             "least_depth_pixels": each.least_depth, "pixel_bits": each.pixel_bits, "bytes": each.stored_bytes,
             **each.resources.by_name()}
            for each in variant.fifos
        ],
        "fifo_bytes": variant.fifo_bytes,
        "interval_cycles": run.interval_cycles,
        "latency_change": run.latency_s / found.baseline.evaluation.latency_s - 1,
        "throughput_change": run.throughput_per_s / found.baseline.evaluation.throughput_per_s - 1,
        "output_change": None if change is None else asdict(change),
    }  # fmt: skip
    return {**result_document(Estimate(run, None)), "skips": skips}


def _change(run: FpgaEvaluation, base: FpgaEvaluation) -> dict[str, dict[str, float | None]]:
    found = {}
    for name, held in run.resources.items():
        before, after = base.resources[name]["used"], held["used"]
        found[name] = {
            "absolute": after - before,
            "relative": (after - before) / before if before else None,
            "share_of_budget": (after - before) / held["budget"] if held["budget"] else None,
        }
    return found


def _point(each: StepPoint) -> dict[str, object]:
    return {"value": each.value, "depth_pixels": each.depth, "fifos": each.fifos.by_name(),
            "duplicators_and_adders": each.joins.by_name()}  # fmt: skip


def base_block(found: SkipComparison) -> Block | None:
    """A residual block with the stream of the deepest skip of the variants; None where none has a skip."""
    skips = [(fifo, each) for each in found.variants.values() for fifo in each.fifos]
    if not skips:
        return None
    fifo, variant = max(skips, key=lambda pair: pair[0].depth)
    dataflow = variant.evaluation.mapping.dataflow
    layers = {edge: layer for layer in variant.evaluation.mapping.layers for edge in layer.outputs}
    layer, stream = layers[fifo.stream], dataflow.streams[fifo.stream]
    bits = stream.pixel_bits // layer.made.channels
    cycles = max(dataflow.interval_cycles // layer.made.pixels - 2, 1)
    return Block(max(layer.made.columns, 2), layer.made.channels, bits, cycles, stream.word_bits // max(bits, 1),
                 variant.evaluation.arch.style)  # fmt: skip


def skips_text(found: SkipComparison) -> str:
    """The comparison for a terminal."""
    base = found.baseline.evaluation
    head = f"{base.workload.name} on {base.architecture.name} in {base.choice.label}: skip connections"
    parts = [head, _side_by_side(found), _parts(found)]
    for name in list(found.variants)[1:]:
        parts.append(_saving(found, name))
    parts += [_fifos(each) for each in found.variants.values() if each.fifos]
    parts.append("\n".join(textwrap.wrap(f"Outputs: {_outputs(found)}", _WIDTH)))
    return "\n\n".join(parts)


def _side_by_side(found: SkipComparison) -> str:
    runs = {name: each.evaluation for name, each in found.variants.items()}
    base = found.baseline.evaluation
    rows = [["", *runs]]
    for key, label in RESOURCES.items():
        rows.append([label, *(f"{run.resources[key]['used']:,.0f}{_against(run, base, key)}" for run in runs.values())])
    rows.append(["Skip FIFOs", *(f"{len(each.fifos)}, {quantity(each.fifo_bytes, 'B')}"
                                 for each in found.variants.values())])  # fmt: skip
    rows.append([f"Latency{of_frames(base.workload.batch)}", *(quantity(run.latency_s, "s") for run in runs.values())])
    rows.append(["Throughput", *(plain(run.throughput_per_s, "/s") for run in runs.values())])
    return _aligned(rows)


def of_frames(batch: int) -> str:
    """What a latency is of, where that is more than one frame."""
    return f" of {batch} frames" if batch > 1 else ""


def _against(run: FpgaEvaluation, base: FpgaEvaluation, key: str) -> str:
    change = _change(run, base)[key]
    if run is base:
        budget = run.resources[key]["budget"]
        return f" ({percent(run.resources[key]['used'] / budget)} of device)" if budget else ""
    return "" if change["relative"] is None else f" ({100 * change['relative']:+.1f} %)"


def _parts(found: SkipComparison) -> str:
    rows = [["  part", *(f"{name} BRAM, LUT, FF" for name in found.variants)]]
    for part in PARTS:
        rows.append([f"  {part}", *(_words(each.parts[part]) for each in found.variants.values())])
    return "Resources by part\n" + _aligned(rows)


def _words(amount: Resources) -> str:
    return f"{amount.bram18:,}, {amount.lut:,}, {amount.ff:,}"


def _saving(found: SkipComparison, name: str) -> str:
    saving = found.saving(name)
    rows = [["  part", "BRAM", "LUT", "FF"]]
    rows += [[f"  {part}", *(f"{saving[part][key]:+,}" for key in ("bram18", "lut", "ff"))] for part in PARTS]
    return f"Saved by {name}, by part\n{_aligned(rows)}"


def _fifos(variant: SkipVariant) -> str:
    rows = [["  skip FIFO of", "pixels", "no deadlock", "bits", "bytes", "LUT", "BRAM"]]
    for each in variant.fifos[:_MOST_FIFOS]:
        rows.append([f"  {each.join}", str(each.depth), str(each.least_depth), str(each.pixel_bits),
                     f"{each.stored_bytes:,.0f}", str(each.resources.lut), str(each.resources.bram18)])  # fmt: skip
    left = len(variant.fifos) - _MOST_FIFOS
    return f"Skip FIFOs, {variant.name}\n{_aligned(rows)}" + (f"\n  and {left} more" if left > 0 else "")


def _outputs(found: SkipComparison) -> str:
    changes = {name: each.change for name, each in found.variants.items() if each.change is not None}
    words = [
        f"{name} changes them by {percent(each.fp32)} in FP32 and {percent(each.quantised)} quantised "
        f"(quantising alone: {percent(each.quantisation)})"
        for name, each in changes.items() if name != "keep"
    ]  # fmt: skip
    said = f"{found.numerics[0].upper()}{found.numerics[1:]}."
    return f"{'; '.join(words)}. {said}" if words else said


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    rows = [[short(row[0], 46), *row[1:]] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if place else cell.ljust(width)
                 for place, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
