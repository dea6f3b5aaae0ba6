"""Extending the truth: points are synthesised, written as a table in the format of the bundled ones, and compared."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from accelsim.errors import InputError
from accelsim.study.rtl.circuits import CIRCUITS, Point, parsed_point
from accelsim.study.rtl.emission import verilog_of
from accelsim.study.rtl.synthesis import COUNTED, TIME_LIMIT_S, counted, require_yosys, synthesise
from accelsim.study.validate import Report
from accelsim.study.validate.registry import validate

__all__ = ["DEFAULT_POINTS", "TABLE", "points_of", "table_of", "validate_points"]

TABLE = "yosys_points.csv"

DEFAULT_POINTS = (
    "fifo_srl W=24 D=48", "fifo_lutram W=10 D=96", "fifo_block W=20 D=3000", "fifo_auto W=12 D=200",
    "mult A=5 B=9", "mult A=10 B=12 dsp_allowed=1", "mac A=6 B=7 G=8", "addertree N=12 W=6", "addertree_pipe N=10 W=6",
    "dot N=6 A=5 B=5", "dot_constweights N=12 A=6 B=6", "linebuffer WD=48 CB=24", "skipadd C=8 B=6 RELU=1",
    "requant C=4 I=18 O=6 S=7", "resblock MODE=0 WD=24 C=3 B=4", "resblock MODE=1 WD=24 C=3 B=4 FD=52",
)  # fmt: skip
"""A point or two a family, none of which is in a bundled table."""

_FIRST = ("name", "family", "use", "dsp_allowed")
_PARAMETERS = tuple(dict.fromkeys(column.name for circuit in CIRCUITS.values() for column in circuit.columns))


def points_of(texts: Sequence[str]) -> list[Point]:
    """Points as people write them, such as ``fifo_srl W=8 D=64``; `DEFAULT_POINTS` where there are none.

    Raises:
        InputError: one that is not known, breaks a rule or is named twice.
    """
    found = [parsed_point(text) for text in texts or DEFAULT_POINTS]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError("is named twice", file="--point", value=name)
    return found


def table_of(measured: Sequence[tuple[Point, Mapping[str, int]]]) -> str:
    """Points and their counts as CSV, in the columns of the reference tables."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_FIRST, *_PARAMETERS, *COUNTED], lineterminator="\n")
    writer.writeheader()
    for point, counts in measured:
        first = {"name": point.name, "family": point.circuit.name, "use": "validate"}
        writer.writerow({**first, "dsp_allowed": int(point.dsp_allowed), **point.parameters, **counts})
    return text.getvalue()


def validate_points(
    points: Sequence[Point], out: Path | None = None, *, time_limit_s: float = TIME_LIMIT_S,
    told: Callable[[str], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Synthesise some points with Yosys, and compare what it maps them to with the model.

    Args:
        out: a folder for the table and the Verilog of each point; None keeps neither.
        time_limit_s: of each synthesis.
        told: is called with the name of each point before its synthesis.

    Raises:
        InputError: Yosys is not installed, refuses a point or takes too long; or the folder cannot be written.
    """
    require_yosys()
    if out is None:
        with tempfile.TemporaryDirectory() as name:
            return validate_points(points, Path(name), time_limit_s=time_limit_s, told=told)
    folder = out / "verilog"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in points:
            (folder / f"{each.name}.v").write_text(verilog_of(each), encoding="utf-8")
        measured = []
        for each in points:
            told(each.name)
            measured.append((each, counted(synthesise(each, time_limit_s))))
            # Written after every point: a run that is stopped keeps what it has found.
            (out / TABLE).write_text(table_of(measured), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", file="--out", value=str(out)) from None
    return validate(["fpga"], out)
