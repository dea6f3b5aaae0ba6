"""The result of one simulation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import CertificateError
from accelsim.pipeline import DigitalEvaluation, Evaluation
from accelsim.report import document
from accelsim.report.files import write_text_atomically
from accelsim.results.emulation import Emulation
from accelsim.results.text import json_text
from accelsim.study.estimate import Estimate
from accelsim.study.gap import optimality_gap

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.numerics.analog import NormalSource
    from accelsim.numerics.quantisers import Quantiser
    from accelsim.study.emulate import Inputs

__all__ = ["Result"]


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

    def emulate(
        self, inputs: Inputs | None = None, *, seed: int = 0, time_s: float | None = None,
        calibration: Inputs | Sequence[Inputs] | None = None, quantiser: str | Quantiser | None = None,
        normals: NormalSource | None = None,
    ) -> Emulation:  # fmt: skip
        """The values that this very mapping computes; see `accelsim.emulate`."""
        from accelsim.study.emulate import emulated

        found = emulated(
            self.evaluation, inputs, seed, time_s, calibration=calibration, quantiser=quantiser, normals=normals
        )  # fmt: skip
        return Emulation.of(found)

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
        return json_text(self.to_document(), path)

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
