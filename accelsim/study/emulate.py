"""Values of a mapped model: outputs, and errors against FP32 op by op."""

from __future__ import annotations

import json
from collections.abc import Mapping
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

__all__ = ["Emulation", "emulated"]


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


def emulated(
    evaluation: Evaluation, inputs: Mapping[str, ArrayLike] | str | Path | None = None, seed: int = 0
) -> Emulation:
    """What ``evaluation``'s mapping computes. Arguments and errors as `accelsim.emulate`."""
    from accelsim.engine.functional.inputs import checked_inputs, drawn_inputs
    from accelsim.engine.functional.run import run_values
    from accelsim.workload.onnx.program import read_program

    program = read_program(evaluation.workload)
    notes = ["errors are against FP32 and add up along the model"]
    if inputs is None:
        values = drawn_inputs(program, seed)
        notes.append(f"inputs were drawn: floats standard normal (seed {seed}), others one; give your own data")
    else:
        values = checked_inputs(program, inputs if isinstance(inputs, Mapping) else _loaded(Path(inputs)))
    run = run_values(
        program, evaluation.workload, evaluation.mapping, evaluation.architecture.description, values
    )  # fmt: skip
    notes.append(f"vector work by {run.vector_engine}")
    return Emulation(evaluation, run.outputs, run.reference, run.errors, tuple(notes))


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
