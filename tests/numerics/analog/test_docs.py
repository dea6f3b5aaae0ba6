"""docs/analog.md names every crossbar and device, and its table of wires is what the code computes."""

from pathlib import Path

from accelsim.numerics.analog import CROSSBARS, DEVICES
from accelsim.study.circuits import estimate_circuit

PAGE = (Path(__file__).parents[3] / "docs" / "analog.md").read_text(encoding="utf-8")


def test_every_name_is_there():
    assert [name for name in (*CROSSBARS, *DEVICES) if f"`{name}`" not in PAGE] == []


def test_the_table_of_wires():
    lines = PAGE.split("<!-- table: wires -->\n", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    assert len(lines) == 8
    for line in lines[:4]:  # the larger ones take seconds
        inputs, signs, *shown = [cell.strip() for cell in line.strip("|").split("|")]
        asked = {"inputs": int(inputs), "outputs": 64, "input_signs": signs}
        figures = estimate_circuit("crossbar", asked).figures
        computed = [figures[name].value for name in ("nodal_drop", "polynomial_drop", "difference")]
        assert shown == [f"{100 * each:.2f} %" for each in computed]
