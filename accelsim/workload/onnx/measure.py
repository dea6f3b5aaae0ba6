"""Shapes that only data tells: the model runs once in ONNX Runtime, every tensor an output.

The run is a process of its own with a time limit, so that whatever a model makes the runtime do, it ends and takes
nothing with it. No library of custom operators is ever loaded. Inputs are fixed: integers and truth values are ones,
floats are drawn from a standard normal distribution with seed 0.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx.bind import Binding
from accelsim.workload.onnx.constants import stored_constant
from accelsim.workload.onnx.model import ELEMENTS, Source, TensorType, text

__all__ = ["Measured", "measured_types"]

SECONDS = 300
MAX_MODEL_BYTES = 2_000_000_000  # what one protobuf message can hold, weights included
_RUNNER = "accelsim.workload.onnx.measure_run"


@dataclass(frozen=True, slots=True)
class Measured:
    """Types by tensor name, and how they were found."""

    types: Mapping[str, TensorType]
    how: str


def measured_types(model: Any, source: Source, binding: Binding) -> Measured:
    """The types of all tensors of a ModelProto's graph, those inside of branches and loops left out.

    Raises:
        UnsupportedError: ONNX Runtime is not installed, or the weights are too large to be held in memory twice.
        InputError: the run fails, or takes longer than `SECONDS`.
    """
    if find_spec("onnxruntime") is None:
        remedy = "install it: pip install 'accelsim[runtime]'"
        raise UnsupportedError("needs ONNX Runtime, which is not installed", file=source.file,
                               field="measure_shapes", remedy=remedy)  # fmt: skip
    _check_memory(model, source)
    whole = _with_every_output(model, source)
    with tempfile.TemporaryDirectory() as folder:
        path, job = Path(folder, "model.onnx"), Path(folder, "job.json")
        path.write_bytes(whole.SerializeToString())
        job.write_text(json.dumps(_feeds(binding)))
        found = _run(path, job, source)
    types = {name: TensorType(element, tuple(shape)) for name, (element, shape) in found["types"].items()}
    shown = ", ".join(f"{name} {list(kind.shape)}" for name, kind in binding.inputs.items())
    how = f"by one run in onnxruntime {found['version']} on {shown}: floats standard normal (seed 0), others one"
    return Measured(types, how)


def _feeds(binding: Binding) -> dict[str, list[Any]]:
    """Type, shape and, where the user gave one, value of each input."""
    feeds: dict[str, list[Any]] = {
        name: [ELEMENTS[kind.element].name, list(kind.shape), None] for name, kind in binding.inputs.items()
    }
    for name, value in binding.values.items():
        feeds[name] = [str(value.dtype), list(value.shape), value.reshape(-1)[0].item()]
    return feeds


def _check_memory(model: Any, source: Source) -> None:
    weights = sum(stored_constant(text(each.name), each, source).type.elements
                  * ELEMENTS[each.data_type].bits // 8 for each in model.graph.initializer)  # fmt: skip
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") if hasattr(os, "sysconf") else 1 << 40
    limit = min(MAX_MODEL_BYTES, available // 3)
    if weights > limit:
        rule = f"runs the model only where its weights fit in memory: they take {weights:,} bytes of {limit:,}"
        remedy = "fix the open shapes with shapes or values"
        raise UnsupportedError(rule, file=source.file, field="measure_shapes", remedy=remedy)


def _with_every_output(model: Any, source: Source) -> Any:
    """A copy with the weights inside and every tensor of the graph an output."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    for tensor in whole.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _inlined(tensor, source)
    present = {text(each.name) for each in whole.graph.output}
    for node in whole.graph.node:
        for name in node.output:
            if name and text(name) not in present:
                present.add(text(name))
                whole.graph.output.add().name = name
    return whole


def _inlined(tensor: Any, source: Source) -> None:
    from accelsim.workload.onnx.constants import external_bytes

    tensor.raw_data = external_bytes(tensor, source)
    del tensor.external_data[:]
    tensor.data_location = onnx.TensorProto.DEFAULT


def _run(path: Path, job: Path, source: Source) -> Any:
    command = [sys.executable, "-m", _RUNNER, str(path), str(job)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        rule = f"was stopped after {SECONDS} s: the run that should tell its shapes does not end"
        raise InputError(rule, file=source.file, field="measure_shapes") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"cannot be run in ONNX Runtime ({last})", file=source.file, field="measure_shapes")
    return json.loads(done.stdout)
