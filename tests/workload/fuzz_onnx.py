"""Coverage-guided fuzzing of the ONNX front end: ``python -m tests.workload.fuzz_onnx CORPUS -runs=10000``.

Needs atheris. CORPUS is a folder of models to start from; options are libFuzzer's. Any input must give a graph or an
AccelsimError; anything else stops the run with the input that did it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["accelsim.workload.onnx"]):
    from accelsim.errors import AccelsimError
    from accelsim.workload.onnx import from_onnx, importer  # noqa: F401  (instrumented when it is imported)

SHAPES = {"x": (1, 3, 8, 8)}


def try_one(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(data)
        file.flush()
        for shapes in ({}, SHAPES):
            try:
                from_onnx(Path(file.name), shapes=shapes, branches={"*": "dearest"}, trips={"*": 2})
                return
            except AccelsimError:
                pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
