"""What altering skips does to the outputs of a model whose weights are known, before it is trained anew.

The program of the model is rewired as its graph was: a removed add gives way to its branch, a new one sums. Both run
on the same inputs, in FP32 and with operands quantised as the stages of the FPGA read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.pipeline import FpgaEvaluation
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Elementwise, Op

if TYPE_CHECKING:
    from accelsim.engine.functional.program import Program, Step
    from accelsim.engine.functional.units import MatrixUnit
    from accelsim.mapping.records import MappedItem

__all__ = ["OutputChange", "output_changes", "rewired"]

Array = NDArray[Any]
_VALUES = "fp32"
_MODEL_ENDING = ".onnx"


@dataclass(frozen=True, slots=True)
class OutputChange:
    """Relative change of the outputs, |new - old| over |old| (Euclidean): in FP32, and with quantised operands.

    ``quantisation`` is the change that quantising alone makes to this variant.
    """

    fp32: float
    quantised: float
    quantisation: float


def output_changes(
    workload: Graph, graphs: Mapping[str, Graph], runs: Mapping[str, FpgaEvaluation], seed: int
) -> tuple[dict[str, OutputChange], str]:
    """Changes of each variant against ``workload`` as it is, and where they come from, or why there are none."""
    origin = workload.origin or ""
    if not origin.endswith(_MODEL_ENDING):
        return {}, "no weights: the workload has sizes only, so that output changes are not known; take an ONNX model"
    if workload.rewrites:
        return {}, "the workload was rewritten before, so that the values of its ops are not at hand"
    from accelsim.engine.functional.inputs import drawn_inputs
    from accelsim.engine.functional.onnx_program import onnx_program

    try:
        program = onnx_program(workload)
        inputs = drawn_inputs(program, seed)
        outputs = {"": _run(program, next(iter(runs.values())), inputs)} if "keep" not in graphs else {}
        for name, graph in graphs.items():
            outputs[name] = _run(rewired(program, workload, graph), runs[name], inputs)
    except (UnsupportedError, InputError) as error:
        return {}, f"values are not emulated: {str(error).rstrip('.')}"
    base = outputs["keep"] if "keep" in outputs else outputs[""]
    changes = {name: OutputChange(_change(outputs[name][0], base[0]), _change(outputs[name][1], base[1]),
                                  _change(outputs[name][1], outputs[name][0])) for name in graphs}  # fmt: skip
    return changes, (
        f"one drawn input (standard normal, seed {seed}), the weights of the model, not trained anew; operands of "
        f"matrix work quantised, sums exact, what lies between in FP32"
    )


def _change(found: Sequence[Array], base: Sequence[Array]) -> float:
    difference = np.sqrt(sum(float(np.sum((a - b) ** 2)) for a, b in zip(found, base, strict=True)))
    size = np.sqrt(sum(float(np.sum(b**2)) for b in base))
    return float(difference / size) if size else float("inf" if difference else 0)


def _run(program: Program, run: FpgaEvaluation, inputs: Mapping[str, Array]) -> tuple[list[Array], list[Array]]:
    """Outputs in FP32 and with quantised operands."""
    from accelsim.engine.functional.digital import array_unit
    from accelsim.engine.functional.product import SumOrder
    from accelsim.engine.functional.run import run_values
    from accelsim.engine.functional.scaling import Scalings
    from accelsim.numerics.accumulators import Sequential, accumulator_named

    exact = SumOrder(accumulator_named(Sequential("fp32", "fp32")), (slice(None),))

    def unit_of(item: MappedItem) -> MatrixUnit:
        return array_unit(item.op.name, item.precision, exact, Scalings())

    found = run_values(program, run.mapping, unit_of, _VALUES, inputs)
    names = list(found.outputs)
    as_floats = ([np.asarray(of[name], dtype=np.float64) for name in names] for of in (found.reference, found.outputs))
    reference, outputs = as_floats
    return reference, outputs


def rewired(program: Program, before: Graph, after: Graph) -> Program:
    """``program``, the steps of ``before``, with the wires of ``after``: ops that are gone are left out, new adds sum.

    Raises:
        UnsupportedError: a new op that is no add.
    """
    old, new = ({op.name: op for op in graph.ops} for graph in (before, after))
    steps: list[Step] = []
    made = {name for step in program.steps for name in step.outputs}
    for step in program.steps:
        if not step.name or step.name not in old:
            steps.append(step)
        elif step.name in new:
            steps.append(_with_wires(step, old[step.name], new[step.name]))
    for op in after.ops:
        if op.name not in old:
            steps.append(_sum(op, program.file))
    outputs = dict(zip(before.outputs, after.outputs, strict=True))
    renamed = tuple(outputs.get(name, name) for name in program.outputs)
    return replace(program, steps=_in_order(steps, set(program.values) | set(program.inputs), made), outputs=renamed)


def _with_wires(step: Step, old: Op, new: Op) -> Step:
    read, made = (
        dict(zip(was, now, strict=False)) for was, now in ((old.inputs, new.inputs), (old.outputs, new.outputs))
    )
    return replace(step, inputs=tuple(read.get(name, name) for name in step.inputs),
                   outputs=tuple(made.get(name, name) for name in step.outputs))  # fmt: skip


def _sum(op: Op, file: str) -> Step:
    from accelsim.engine.functional.program import VectorStep

    if not isinstance(op, Elementwise) or op.function != "add":
        raise UnsupportedError("is a new op whose values are not emulated", file=file, field=f"op {op.name}")
    return VectorStep(op.name, "Add", op.inputs, op.outputs, _added)


def _added(given: Sequence[Array | None]) -> list[Array]:
    left, right = given
    return [np.add(np.asarray(left), np.asarray(right))]


def _in_order(steps: Sequence[Step], known: set[str], made: set[str]) -> tuple[Step, ...]:
    """Steps, each behind those that it reads of."""
    made = made | {name for step in steps for name in step.outputs}
    ready, left, ordered = set(known), list(steps), []
    while left:
        waiting = [step for step in left if any(n in made and n not in ready for n in step.inputs if n)]
        done = [step for step in left if step not in waiting]
        if not done:
            raise UnsupportedError("reads what no step makes any more", field=f"op {left[0].name}")
        for step in done:
            ready.update(step.outputs)
        ordered += done
        left = waiting
    return tuple(ordered)
