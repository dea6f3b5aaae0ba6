"""What a workload costs on average where data decides its branches: an estimate of every outcome, and their means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.errors import CertificateError
from accelsim.hardware.load import Architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import Engine
from accelsim.study.estimate import Estimate, estimate
from accelsim.version import __version__
from accelsim.workload.outcomes import Outcome, weighted_mean
from accelsim.workload.precision import PrecisionArgument

__all__ = ["Expectation", "OutcomeEstimate", "expected"]


@dataclass(frozen=True, slots=True)
class OutcomeEstimate:
    """One outcome (see `workload.outcomes`) and its estimate."""

    probability: float
    branches: Mapping[str, str]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Expectation:
    """Estimates of all outcomes. Means are over runs: of independent ones, what each takes in the long run."""

    outcomes: tuple[OutcomeEstimate, ...]

    def mean(self, metric: str) -> float:
        """The mean of a metric of `pipeline.Evaluation` that is a number, such as ``latency_s`` or ``dram_bytes``."""
        return weighted_mean((each.probability, getattr(each.estimate.evaluation, metric)) for each in self.outcomes)

    @property
    def latency_s(self) -> float:
        return self.mean("latency_s")

    @property
    def energy_j(self) -> float | None:
        """Mean energy; None where the kind of hardware has no energy model."""
        if any(each.estimate.evaluation.energy is None for each in self.outcomes):
            return None
        return self.mean("energy_j")

    @property
    def macs(self) -> float:
        return self.mean("macs")

    @property
    def throughput_per_s(self) -> float:
        """Samples a second of runs one after the other: the batch over the mean latency."""
        batch = self.outcomes[0].estimate.evaluation.workload.batch
        return batch / self.latency_s if self.latency_s > 0 else float("inf")

    def latency_quantile_s(self, share: float) -> float:
        """The latency that at least ``share`` of all runs keep, 0 to 1."""
        reached = 0.0
        ordered = sorted(self.outcomes, key=lambda each: each.estimate.evaluation.latency_s)
        for each in ordered:
            reached += each.probability
            if reached >= share * (1 - 1e-12):
                break
        return each.estimate.evaluation.latency_s

    def check(self) -> None:
        """Run the certificates of every outcome.

        Raises:
            CertificateError: one that is broken.
        """
        broken = [words for each in self.outcomes for words in each.estimate.evaluation.check()]
        if broken:
            raise CertificateError(broken)

    def to_document(self) -> dict[str, Any]:
        """Means, and probability, branches and metrics of each outcome, as plain data."""
        run = self.outcomes[0].estimate.evaluation
        return {
            "workload": run.workload.name, "architecture": run.architecture.name, "precision": run.choice.label,
            "expected": {"latency_s": self.latency_s, "energy_j": self.energy_j, "macs": self.macs,
                         "throughput_per_s": self.throughput_per_s},
            "latency_p95_s": self.latency_quantile_s(0.95),
            "outcomes": [_plain(each) for each in self.outcomes],
            "version": __version__,
        }  # fmt: skip

    def to_json(self) -> str:
        """The document as JSON text."""
        return json.dumps(self.to_document(), indent=2, allow_nan=False)


def expected(
    outcomes: Sequence[Outcome],
    architecture: Architecture,
    precision: PrecisionArgument | None = None,
    *,
    engine: Engine = "auto",
    detail: Detail = "op",
    options: MappingOptions | None = None,
) -> Expectation:
    """Every outcome evaluated. Arguments as `estimate`; constants are taken at their values, without intervals."""
    return Expectation(
        tuple(
            OutcomeEstimate(
                each.probability, each.branches,
                estimate(each.graph, architecture, precision, engine=engine, detail=detail, intervals=False,
                         options=options),
            )
            for each in outcomes
        )
    )  # fmt: skip


def _plain(each: OutcomeEstimate) -> dict[str, Any]:
    run = each.estimate.evaluation
    return {"probability": each.probability, "branches": dict(each.branches), "latency_s": run.latency_s,
            "energy_j": run.energy_j, "macs": run.macs, "bottleneck": run.bottleneck}  # fmt: skip
