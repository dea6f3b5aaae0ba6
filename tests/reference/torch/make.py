"""Writes small.pt2, which tests read without torch. Made with torch 2.13.0: python -m tests.reference.torch.make

Stack traces, which name files of the machine that exports, are taken out of the program.
"""

import io
import json
import zipfile
from pathlib import Path

from tests.workload.torch_models import Small, torch


def main() -> None:
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", max=64)
    program = torch.export.export(Small().eval(), (torch.zeros(2, 10, 8),), dynamic_shapes={"x": {0: batch}})
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with (
        zipfile.ZipFile(buffer) as source,
        zipfile.ZipFile(Path(__file__).with_name("small.pt2"), "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            if "/models/" in name:
                data = json.dumps(json.loads(data, object_hook=_without_traces)).encode()
            target.writestr(f"small/{name.partition('/')[2]}", data)


def _without_traces(record: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in record.items() if key != "stack_trace"}


if __name__ == "__main__":
    main()
