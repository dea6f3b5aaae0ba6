"""The process that runs a model for its shapes: ``python -m accelsim.workload.onnx.measure_run MODEL JOB``.

JOB is JSON, input name to [element type, shape, value or null]; standard output gets {"version", "types"}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx

__all__: list[str] = []


def main(model: str, job: str) -> None:
    """Run the model once and print the types of its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = _feeds(json.loads(Path(job).read_text()))
    names = [each.name for each in session.get_outputs()]
    wanted = {each.name for each in session.get_inputs()}
    found = session.run(names, {name: value for name, value in feeds.items() if name in wanted})
    types = {
        name: [onnx.helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape)]
        for name, value in zip(names, found, strict=True)
        if isinstance(value, np.ndarray)
    }
    print(json.dumps({"version": onnxruntime.__version__, "types": types}))


def _feeds(job: dict[str, list[Any]]) -> dict[str, Any]:
    random = np.random.default_rng(0)
    feeds = {}
    for name, (element, shape, value) in job.items():
        dtype = np.dtype(element)
        drawn = random.standard_normal(shape) if dtype.kind == "f" else np.ones(shape)
        feeds[name] = (drawn if value is None else np.full(shape, value)).astype(dtype)
    return feeds


if __name__ == "__main__":
    main(*sys.argv[1:3])
