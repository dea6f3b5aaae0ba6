"""Results that know how to show themselves: what `simulate`, `compare` and `validate` return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import CertificateError
from accelsim.pipeline import DigitalEvaluation, Evaluation
from accelsim.report import document
from accelsim.report.files import write_text_atomically
from accelsim.study.compare import PrecisionComparison
from accelsim.study.estimate import Estimate
from accelsim.study.gap import optimality_gap
from accelsim.study.validate import Report

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from accelsim.study.emulate import Emulation

__all__ = ["Comparison", "Result", "Validation"]


class Result:
    """One workload on one architecture at one precision.

    Metrics are attributes with their units in the name; ``intervals`` says what they span over the constants that
    nobody has published, ``sensitivity`` which of those matter most.
    """

    def __init__(self, estimated: Estimate) -> None:
        self.estimate = estimated

    @property
    def evaluation(self) -> Evaluation:
        """The mapping, task graph and timeline behind the metrics."""
        return self.estimate.evaluation

    @property
    def latency_s(self) -> float:
        return self.evaluation.latency_s

    @property
    def real_time_factor(self) -> float | None:
        """Latency over seconds of audio; None for workloads without audio."""
        return self.evaluation.real_time_factor

    @property
    def throughput_per_s(self) -> float:
        return self.evaluation.throughput_per_s

    @property
    def energy_j(self) -> float | None:
        """Energy of one execution; None where the kind of hardware has no energy model."""
        return self.evaluation.energy_j

    @property
    def power_w(self) -> float | None:
        """Average power over the execution; None without an energy model."""
        return self.evaluation.power_w

    @property
    def clock_scale(self) -> float:
        """Share of the stated clocks that the architecture's power limit leaves; 1 where it is kept, or not stated."""
        return self.evaluation.clock_scale

    @property
    def unthrottled(self) -> Result | None:
        """The same mapping at the full clock, without intervals; None where clocks were not throttled."""
        full = self.evaluation.unthrottled
        return None if full is None else Result(Estimate(full, None))

    @property
    def energy_by_component_j(self) -> dict[str, float]:
        """Energy by component (arrays, vector units, ..., leakage); they add up. Empty without an energy model."""
        return dict(self.evaluation.energy.by_component_j) if self.evaluation.energy else {}

    @property
    def energy_by_level_j(self) -> dict[str, float | None]:
        """Energy by level of data movement: compute, array_local, scratchpad, network, dram, host, leakage."""
        return self.evaluation.energy.by_level_j if self.evaluation.energy else {}

    @property
    def area_mm2(self) -> float | None:
        """Chip area: as published where it is, else as assumed or predicted; ``area_source`` says which."""
        return self.evaluation.area_mm2

    @property
    def area_source(self) -> str | None:
        """``published``, ``assumed`` or ``predicted``; None where no area is known."""
        return self.evaluation.area.source

    @property
    def area_by_component_mm2(self) -> dict[str, float]:
        """Predicted area by component, also where an area is published; empty where no technology is stated."""
        return {name: each.value for name, each in self.evaluation.area.predicted.items()}

    @property
    def dram_bytes(self) -> float | None:
        return self.evaluation.dram_bytes

    @property
    def macs(self) -> int:
        return self.evaluation.macs

    @property
    def weight_bytes(self) -> float:
        """Stored bytes of the weights at this precision."""
        return self.evaluation.weight_bytes

    @property
    def utilization(self) -> dict[str, float]:
        """Busy share of the time by resource; ``macs`` is achieved over peak MACs."""
        return self.evaluation.utilization

    @property
    def bottleneck(self) -> str:
        """The resource that is busy longest."""
        return self.evaluation.bottleneck

    @property
    def optimality_gap(self) -> float | None:
        """Latency over a lower bound for any mapping of these ops, at least 1; None where nothing bounds it."""
        run = self.evaluation
        return optimality_gap(run).whole if isinstance(run, DigitalEvaluation) else None

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """{resource: {"used", "budget"}}: memory in bytes; on an FPGA look-up tables, flip-flops, blocks."""
        return self.evaluation.resources

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """{metric: (low, high)} over assumed constants; empty when they were not asked for."""
        return self.estimate.intervals

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row an assumed constant, by falling effect on latency: path, nominal, low and high of each metric, why."""
        from accelsim.report.tables import sensitivity_frame

        return sensitivity_frame(self.estimate.sensitivity)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, such as which figures were calibrated."""
        return self.estimate.notes

    @cached_property
    def ops(self) -> pd.DataFrame:
        """A row an op: unit, macs, bytes, start_s, end_s, stall_s, energy_j and its mapping."""
        from accelsim.report.tables import ops_frame

        return ops_frame(self.evaluation)

    def emulate(self, inputs: Mapping[str, ArrayLike] | str | Path | None = None, *, seed: int = 0) -> Emulation:
        """The values that this very mapping computes; see `accelsim.emulate`."""
        from accelsim.study.emulate import emulated

        return emulated(self.evaluation, inputs, seed)

    def check(self) -> bool:
        """True if every certificate of this result holds.

        Raises:
            CertificateError: naming those that are broken; that is a defect of accelsim.
        """
        broken = self.evaluation.check()
        if broken:
            raise CertificateError(broken)
        return True

    def to_document(self) -> dict[str, Any]:
        """The result as plain data, as the command line's ``--json`` prints it."""
        return document.result_document(self.estimate)

    def to_json(self, path: str | Path | None = None) -> str:
        """The result as JSON text; also written to ``path`` if one is given."""
        return _json(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """The scalar metrics as a frame of one row."""
        import pandas as pd

        data = self.to_document()
        return pd.DataFrame([{key: value for key, value in data.items() if not isinstance(value, dict | list)}])

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.html import result_html

        write_text_atomically(Path(path), result_html(self.estimate))

    def to_perfetto(self, path: str | Path) -> None:
        """Write the timeline as a trace that Perfetto opens."""
        from accelsim.report.perfetto import write_trace

        write_trace(self.evaluation, Path(path))

    def __repr__(self) -> str:
        run = self.evaluation
        return f"<Result {run.workload.name} on {run.architecture.name} in {run.choice.label}: {self.latency_s:.6g} s>"


class Comparison:
    """Several precisions side by side; the first is the baseline, the last what it is compared with."""

    def __init__(self, comparison: PrecisionComparison) -> None:
        self.comparison = comparison
        self.runs = {name: Result(comparison.estimate(name)) for name in comparison.names}

    @property
    def speedup(self) -> float:
        """Latency of the first precision over that of the last."""
        return self.comparison.speedup

    @property
    def speedups(self) -> dict[str, float]:
        """Latency of the first precision over that of each."""
        return self.comparison.speedups

    @property
    def compression(self) -> float:
        """Weight bytes in FP32 over those at the last precision."""
        return self.comparison.compression

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Intervals of speedup and compression over assumed constants."""
        return self.comparison.intervals

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row an assumed constant, by falling effect on the speed-up."""
        from accelsim.report.tables import sensitivity_frame

        return sensitivity_frame(self.comparison.sensitivity)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, such as which figures were calibrated."""
        return self.comparison.notes

    def check(self) -> bool:
        """As `Result.check`, for every run."""
        return all(run.check() for run in self.runs.values())

    def to_document(self) -> dict[str, Any]:
        """The comparison as plain data, as the command line's ``--json`` prints it."""
        return document.comparison_document(self.comparison)

    def to_json(self, path: str | Path | None = None) -> str:
        """The comparison as JSON text; also written to ``path`` if one is given."""
        return _json(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """The scalar metrics, a row a precision."""
        import pandas as pd

        return pd.concat([run.to_frame() for run in self.runs.values()], ignore_index=True)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.html import comparison_html

        write_text_atomically(Path(path), comparison_html(self.comparison))

    def __repr__(self) -> str:
        names = self.comparison.names
        return (
            f"<Comparison {names[0]} -> {names[-1]}: speed-up {self.speedup:.3g}, compression {self.compression:.3g}>"
        )


class Validation:
    """Predictions against reference figures, by target and family; errors are percentages."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def to_document(self) -> dict[str, Any]:
        """The validation as plain data, as the command line's ``--json`` prints it."""
        from accelsim.report.validation import validation_document

        return validation_document(self.report)

    def to_json(self, path: str | Path | None = None) -> str:
        """The validation as JSON text; also written to ``path`` if one is given."""
        return _json(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """A row a comparison: target, family, row, metric, predicted, measured, error_pct."""
        from accelsim.report.validation import validation_frame

        return validation_frame(self.report)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.validation_page import validation_html

        write_text_atomically(Path(path), validation_html(self.report))

    def __repr__(self) -> str:
        families = [each for target in self.report.targets.values() for each in target.families.values()]
        rows, exact = sum(len(each.rows) for each in families), sum(each.exact for each in families)
        return f"<Validation of {', '.join(self.report.targets)}: {rows} rows, {exact} exact>"


def _json(data: Mapping[str, Any], path: str | Path | None) -> str:
    text = json.dumps(data, indent=2, allow_nan=False)
    if path is not None:
        write_text_atomically(Path(path), text + "\n")
    return text
