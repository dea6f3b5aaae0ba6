"""The only place that composes the stages: workload and architecture in, evaluation out. A file a hardware kind."""

from __future__ import annotations

from accelsim.hardware.load import Architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline.aimc import AimcEvaluation, evaluate_again, evaluate_aimc, least_latency_s
from accelsim.pipeline.digital import DigitalEvaluation, evaluate_digital, reprice
from accelsim.pipeline.evaluation import Engine, Evaluation
from accelsim.pipeline.fpga import FpgaEvaluation, evaluate_fpga
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument

__all__ = [
    "AimcEvaluation", "DigitalEvaluation", "Engine", "Evaluation", "FpgaEvaluation", "evaluate",
    "evaluate_again", "least_latency_s", "reprice",
]  # fmt: skip

_KINDS = {"digital": evaluate_digital, "aimc": evaluate_aimc, "fpga": evaluate_fpga}
"""What evaluates each hardware kind; arguments as `evaluate`, all of them given."""


def evaluate(
    workload: Graph,
    architecture: Architecture,
    precision: PrecisionArgument | None = None,
    *,
    engine: Engine = "auto",
    detail: Detail = "op",
    options: MappingOptions | None = None,
) -> Evaluation:
    """Map, lower, time and price one workload.

    Args:
        workload: a graph as a front end makes it.
        architecture: where it runs.
        precision: format, recipe or mapping of patterns; None takes the architecture's default.
        engine: ``auto`` is the compiled engine where it applies.
        detail: ``op`` for a few tasks an op, ``tile`` for one a tile transfer and computation.
        options: which choices the mapper may make; None takes the defaults.

    Raises:
        InfeasibleError: it fits nowhere.
        UnsupportedError: an op or format that is not modelled.
    """
    chosen = architecture.description.default_precision if precision is None else precision
    return _KINDS[architecture.kind](workload, architecture, chosen, engine, detail, options or MappingOptions())
