"""The tables of docs/numerics.md are what the code prints."""

from pathlib import Path

import pytest

from accelsim.numerics.accumulators import ACCUMULATORS
from accelsim.numerics.libraries import LIBRARIES, disagreement_table

PAGE = (Path(__file__).parents[2] / "docs" / "numerics.md").read_text(encoding="utf-8")


def table_after(marker):
    lines = PAGE.split(f"<!-- table: {marker} -->\n", 1)[1].splitlines()
    return "\n".join(lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))])


@pytest.mark.parametrize("format", ["mxfp4", "mxint8"])
def test_disagreements(format):
    assert table_after(format) == disagreement_table(format)


def test_libraries():
    rows = [
        f"| `{each.name}` | {each.program} | {each.choices} | {each.quirks or 'none'} |" for each in LIBRARIES.values()
    ]
    assert table_after("libraries").splitlines()[2:] == rows


def test_every_tensor_core_is_named():
    missing = [name for name in ACCUMULATORS if f"`{name}`" not in PAGE and not name.startswith("int")]
    assert missing == []
