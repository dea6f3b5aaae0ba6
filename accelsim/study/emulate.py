"""Values of a mapped model: outputs, and errors against FP32 op by op."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.engine.functional.errors import OpError, sqnr_db
from accelsim.errors import InputError
from accelsim.pipeline import Evaluation
from accelsim.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.engine.functional.program import Program
    from accelsim.engine.functional.run import FunctionalRun
    from accelsim.engine.functional.scaling import Scalings
    from accelsim.engine.functional.units import UnitOf
    from accelsim.numerics.analog import NormalSource
    from accelsim.numerics.quantisers import Quantiser
    from accelsim.workload.graph import Graph

__all__ = ["Emulation", "Inputs", "Prepared", "emulated", "prepared"]


@dataclass(frozen=True)
class Emulation:
    """What a model computes on an architecture at one precision.

    Attributes:
        evaluation: whose mapping said how; its times are those of this very run.
        outputs: emulated values by output name.
        reference: those of the same run in FP32.
        op_errors: a record an op, in order.
        notes: what a reader must know, such as where inputs came from.
    """

    evaluation: Evaluation
    outputs: Mapping[str, NDArray[Any]]
    reference: Mapping[str, NDArray[Any]]
    op_errors: tuple[OpError, ...]
    notes: tuple[str, ...]

    @property
    def errors(self) -> pd.DataFrame:
        """A row an op: op, label, precision, sqnr_db, max_abs_error, mean_abs_error, saturated, flushed.

        Errors are those of the op's result, with what the ops before it got wrong.
        """
        import pandas as pd

        fields = list(OpError.__dataclass_fields__)
        return pd.DataFrame([asdict(each) for each in self.op_errors], columns=fields)

    @property
    def sqnr_db(self) -> dict[str, float]:
        """SQNR of each output; infinite where it equals FP32's."""
        return {name: sqnr_db(self.reference[name], value) for name, value in self.outputs.items()}

    def to_document(self) -> dict[str, Any]:
        """Errors as plain data, without the values; figures that are not finite are null."""
        run = self.evaluation
        outputs = {
            name: {"shape": list(value.shape), "dtype": str(value.dtype), "sqnr_db": _finite(self.sqnr_db[name])}
            for name, value in self.outputs.items()
        }
        return {
            "workload": run.workload.name, "architecture": run.architecture.name, "precision": run.choice.label,
            "latency_s": run.latency_s, "outputs": outputs,
            "ops": [{key: _finite(value) for key, value in asdict(each).items()} for each in self.op_errors],
            "notes": list(self.notes), "version": __version__,
        }  # fmt: skip

    def to_json(self) -> str:
        """The document as JSON text."""
        return json.dumps(self.to_document(), indent=2, allow_nan=False)

    def __repr__(self) -> str:
        run = self.evaluation
        return f"<Emulation {run.workload.name} on {run.architecture.name} in {run.choice.label}>"


Inputs = Mapping[str, ArrayLike] | str | Path


def emulated(
    evaluation: Evaluation, inputs: Inputs | None = None, seed: int = 0, time_s: float | None = None, *,
    calibration: Inputs | Sequence[Inputs] | None = None, quantiser: str | Quantiser | None = None,
    normals: NormalSource | None = None,
) -> Emulation:  # fmt: skip
    """What ``evaluation``'s mapping computes. Arguments and errors as `accelsim.emulate`."""
    from accelsim.engine.functional.units import units_of

    task = prepared(evaluation, inputs, seed, calibration=calibration, quantiser=quantiser)
    unit_of = units_of(evaluation.architecture.description, task.scalings, seed, time_s, normals)
    run = task.run(unit_of)
    return Emulation(evaluation, run.outputs, run.reference, run.errors, task.notes)


@dataclass(frozen=True)
class Prepared:
    """A model with its inputs, to be run on the units of one architecture or another setting of them."""

    evaluation: Evaluation
    program: Program
    values: Mapping[str, NDArray[Any]]
    scalings: Scalings
    notes: tuple[str, ...]

    def run(self, unit_of: UnitOf) -> FunctionalRun:
        """The model on ``unit_of``, and in FP32 beside it."""
        from accelsim.engine.functional.run import run_values

        form = self.evaluation.architecture.description.value_format
        return run_values(self.program, self.evaluation.mapping, unit_of, form, self.values)


def prepared(
    evaluation: Evaluation, inputs: Inputs | None = None, seed: int = 0, *,
    calibration: Inputs | Sequence[Inputs] | None = None, quantiser: str | Quantiser | None = None,
) -> Prepared:  # fmt: skip
    """``evaluation``'s model and inputs. Arguments and errors as `accelsim.emulate`."""
    from accelsim.engine.functional.inputs import drawn_inputs

    program = _program(evaluation.workload, seed)
    notes = ["errors are against FP32 and add up along the model", *program.notes]
    if inputs is None:
        values = drawn_inputs(program, seed)
        notes.append(f"inputs were drawn: floats standard normal (seed {seed}), others one; give your own data")
    else:
        values = _given(program, inputs)
    scalings = _scalings(evaluation, program, calibration, quantiser, notes)
    notes.append(f"vector work by {program.engine}")
    return Prepared(evaluation, program, values, scalings, tuple(notes))


def _given(program: Program, inputs: Inputs) -> dict[str, NDArray[Any]]:
    from accelsim.engine.functional.inputs import checked_inputs

    return checked_inputs(program, inputs if isinstance(inputs, Mapping) else _loaded(Path(inputs)))


def _scalings(
    evaluation: Evaluation, program: Program, calibration: Inputs | Sequence[Inputs] | None,
    quantiser: str | Quantiser | None, notes: list[str],
) -> Scalings:  # fmt: skip
    """The quantisers of the recipe, those of activations replaced by ``quantiser``, and samples to find scales from."""
    from accelsim.engine.functional.observe import observed
    from accelsim.engine.functional.scaling import Scalings
    from accelsim.numerics import quantiser_named

    recipe = evaluation.choice.recipe
    weights, activations = (
        tuple((pattern, quantiser_named(name)) for pattern, name in each)
        for each in ((recipe.weight_quantisers, recipe.activation_quantisers) if recipe else ((), ()))
    )
    if quantiser is not None:
        activations = (("*", quantiser_named(quantiser) if isinstance(quantiser, str) else quantiser),)
    if weights or (activations and quantiser is None):
        notes.append(f"quantisers are those of recipe {evaluation.choice.label}")
    if calibration is None:
        return Scalings(weights, activations)
    several = [calibration] if isinstance(calibration, Mapping | str | Path) else list(calibration)
    samples = [_given(program, each) for each in several]
    form = evaluation.architecture.description.value_format
    seen = observed(program, evaluation.mapping, form, samples)
    if not seen:
        remedy = "take a precision such as int4, or no calibration"
        raise InputError("has no op in integers, whose scales samples would give", field="calibration",
                         value=evaluation.choice.label, remedy=remedy)  # fmt: skip
    notes.append(f"scales of activations were found once, from {len(samples)} samples")
    return Scalings(weights, activations, seen)


def _program(graph: Graph, seed: int) -> Program:
    if graph.origin is not None and Path(graph.origin).suffix in (".yaml", ".yml") and not graph.rewrites:
        from accelsim.engine.functional.graph_program import graph_program

        return graph_program(graph, seed)
    from accelsim.engine.functional.onnx_program import onnx_program

    return onnx_program(graph)


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:  # TypeError: it is a .npy
        raise InputError(f"cannot be read as .npz ({error})", file=path, field="inputs",
                         remedy="write one with numpy.savez, an array for each input by name") from None  # fmt: skip


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or isfinite(value) else None
