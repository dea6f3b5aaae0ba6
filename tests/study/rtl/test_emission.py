"""Verilog of the circuits: complete for each of them, its parameters as asked; and what is refused."""

import random
import re
import shutil
import subprocess

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.study.circuits import estimate
from accelsim.study.circuits.fpga import columns, named
from accelsim.study.rtl import CIRCUITS, parsed_point, point, verilog, verilog_of_estimate
from accelsim.study.rtl.emission import drawn_weights
from accelsim.study.rtl.truth import DEFAULT_POINTS, points_of

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus Verilog (iverilog)")


def signed(value, bits):
    """The low ``bits`` of a number, as a signed one."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def packed(values, bits):
    return sum((value & ((1 << bits) - 1)) << (bits * place) for place, value in enumerate(values))


def clocked(folder, asked, ports, output, output_bits, words, latency=1, skip=0):
    """Drive a circuit that has no handshake: a word of each port a cycle; its outputs, ``latency`` cycles later.

    ports: (name, bits) of the inputs besides the clock. skip: first outputs that are not known yet, and left out.
    """
    wires = "".join(f"reg [{bits - 1}:0] {name} = 0;\n" for name, bits in ports)
    steps = "".join(
        "".join(f"{name} = {bits}'h{word:x}; " for (name, bits), word in zip(ports, each, strict=True))
        + f'#1 clk = 1; #1 clk = 0; $display("%h", {output});\n'
        for each in [*words, *[words[-1]] * (latency - 1)]
    )
    connections = ", ".join(f".{name}({name})" for name in ["clk", *(name for name, _ in ports), output])
    bench = f"""module bench; reg clk = 0; {wires} wire [{output_bits - 1}:0] {output};
    {asked.circuit.top} dut ({connections});
    initial begin {steps} end
    endmodule"""
    (folder / "all.v").write_text(f"{verilog(asked.circuit.name, asked.parameters)}\n{bench}", encoding="utf-8")
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", "all.vvp", "all.v"], cwd=folder, check=True)
    out = subprocess.run(["vvp", "-n", "all.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [int(line, 16) for line in out.split()[latency - 1 + skip :]]


def draws(bits, count, seed=0):
    """Signed numbers of ``bits``, extremes among them."""
    source = random.Random(seed)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return [source.choice([low, high, source.randint(low, high)]) for _ in range(count)]


@needs_icarus
@pytest.mark.parametrize(("a_bits", "b_bits"), [(2, 2), (5, 9), (8, 3)])
def test_multiplier(tmp_path, a_bits, b_bits):
    a, b = draws(a_bits, 40, 1), draws(b_bits, 40, 2)
    words = [(packed([x], a_bits), packed([y], b_bits)) for x, y in zip(a, b, strict=True)]
    asked = point("mult", {"A": a_bits, "B": b_bits})
    found = clocked(tmp_path, asked, [("a", a_bits), ("b", b_bits)], "product", a_bits + b_bits, words)
    assert [signed(each, a_bits + b_bits) for each in found] == [x * y for x, y in zip(a, b, strict=True)]


@needs_icarus
def test_multiply_accumulate(tmp_path):
    a, b, clear = draws(5, 30, 1), draws(4, 30, 2), [index % 7 == 0 for index in range(30)]
    words = [(int(c), packed([x], 5), packed([y], 4)) for c, x, y in zip(clear, a, b, strict=True)]
    asked = point("mac", {"A": 5, "B": 4, "G": 3})
    found = clocked(tmp_path, asked, [("clear", 1), ("a", 5), ("b", 4)], "sum", 12, words)
    total, sums = 0, []
    for c, x, y in zip(clear, a, b, strict=True):
        total = x * y if c else total + x * y
        sums.append(total)
    assert [signed(each, 12) for each in found] == sums


@needs_icarus
@pytest.mark.parametrize("operands", [2, 3, 8, 11])
@pytest.mark.parametrize("family", ["addertree", "addertree_pipe"])
def test_adder_trees(tmp_path, family, operands):
    rows = [draws(4, operands, seed) for seed in range(20)]
    asked, levels = point(family, {"N": operands, "W": 4}), (operands - 1).bit_length()
    words = [(packed(row, 4),) for row in rows]
    latency = levels if family == "addertree_pipe" else 1
    found = clocked(tmp_path, asked, [("words", 4 * operands)], "sum", 4 + levels, words, latency)
    assert [signed(each, 4 + levels) for each in found] == [sum(row) for row in rows]


@needs_icarus
@pytest.mark.parametrize("products", [2, 5, 8])
@pytest.mark.parametrize("family", ["dot", "dot_constweights"])
def test_dot_products(tmp_path, family, products):
    bits = 3 + 4 + (products - 1).bit_length()
    rows = [draws(3, products, seed) for seed in range(20)]
    constant = family == "dot_constweights"
    fixed = drawn_weights(7, (1, products), 4)[0].tolist()
    weights = [fixed if constant else draws(4, products, seed + 99) for seed in range(20)]
    asked = point(family, {"N": products, "A": 3, "B": 4, **({"seed": 7} if constant else {})})
    ports = [("a", 3 * products)] + ([] if constant else [("b", 4 * products)])
    words = [(packed(row, 3), packed(each, 4))[: len(ports)] for row, each in zip(rows, weights, strict=True)]
    found = clocked(tmp_path, asked, ports, "sum", bits, words)
    assert [signed(each, bits) for each in found] == [
        int(np.dot(row, each)) for row, each in zip(rows, weights, strict=True)
    ]


@needs_icarus
@pytest.mark.parametrize("style", ["auto", "srl", "lutram", "block"])
def test_line_buffer_holds_three_lines(tmp_path, style):
    """After step k, row r and column c of the window hold pixel k - (2 - r) WD - (2 - c)."""
    line, bits = 5, 6
    pixels = [value & 63 for value in draws(bits, 40, 5)]
    words = [(1, 0, 0), *[(0, 1, pixel) for pixel in pixels]]
    asked = point("linebuffer", {"WD": line, "CB": bits, "STYLE": style})
    bench = [("rst", 1), ("enable", 1), ("in_data", bits)]
    found = clocked(tmp_path, asked, bench, "window", 9 * bits, words, skip=1 + 2 * line + 2)
    for step, window in enumerate(found, start=2 * line + 2):
        taps = [(window >> (bits * tap)) & 63 for tap in range(9)]
        assert taps == [pixels[step - (2 - tap // 3) * line - (2 - tap % 3)] for tap in range(9)]
    assert len(found) == len(pixels) - 2 * line - 2


@needs_icarus
@pytest.mark.parametrize("relu", [0, 1])
def test_requantiser_rounds_and_saturates(tmp_path, relu):
    sums, biases = draws(12, 60, 3), draws(12, 60, 4)
    words = [(packed([x], 12), packed([y], 12)) for x, y in zip(sums, biases, strict=True)]
    asked = point("requant", {"C": 1, "I": 12, "O": 5, "S": 4, "RELU": relu})
    found = clocked(tmp_path, asked, [("sums", 12), ("biases", 12)], "values", 5, words)
    low = 0 if relu else -16
    exact = [min(max((x + y + 8) // 16, low), 15) for x, y in zip(sums, biases, strict=True)]
    assert [signed(each, 5) for each in found] == exact
    assert {low, 15} <= set(exact)


@needs_icarus
@pytest.mark.parametrize("text", DEFAULT_POINTS)
def test_every_default_point_is_accepted(tmp_path, text):
    asked = parsed_point(text)
    (tmp_path / "one.v").write_text(verilog(asked.circuit.name, asked.parameters), encoding="utf-8")
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-s", asked.circuit.top, "-o", "x", "one.v"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "error" not in found.stderr


def test_every_circuit_has_a_default_point():
    assert {each.circuit.name for each in points_of([])} == set(CIRCUITS)


def test_parameters_stand_as_defaults():
    text = verilog("fifo_srl", {"W": 24, "D": 48})
    assert re.search(r"module fifo_srl #\(\s+parameter W = 24,\s+parameter D = 48\s", text)
    assert text.startswith("// fifo_srl_W24_D48")


def test_weights_are_drawn_from_their_seed():
    given = {"N": 8, "A": 4, "B": 4}
    one, two = (verilog("dot_constweights", {**given, "seed": seed}) for seed in (1, 2))
    assert one != two
    assert one == verilog("dot_constweights", {**given, "seed": 1})


def test_an_estimate_is_written_with_its_parameters():
    asked = {"channels": 2, "bits": 4, "width": 6, "skips": "short", "depth": 9}
    text = verilog_of_estimate(estimate("fpga", "resblock", **asked))
    assert "resblock_MODE2_WD6_C2_B4_FD9_FSTYLErule" in text
    given = {"MODE": 1, "WD": 6, "C": 2, "B": 4, "FD": 9, "FSTYLE": "srl"}
    assert columns("resblock", named("resblock", given)) == given


def test_command_line_writes_verilog(tmp_path, capsys):
    path = tmp_path / "mult.v"
    assert main(["estimate", "fpga", "mult", "A=5", "B=4", "--verilog", str(path)]) == 0
    assert "parameter A = 5" in path.read_text(encoding="utf-8")
    assert main(["estimate", "fpga", "finn_add", "bits=4", "--verilog", str(path)]) == 2
    assert "is not written as Verilog" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "error", "field"), [
    ("", InputError, None), ("fifo W=8", UnknownNameError, "circuit"), ("mult A=8", InputError, "B"),
    ("mult A=8 B=1", InputError, "B"), ("mult A=8 B=x", InputError, "B"), ("mult A=8 B", InputError, None),
    ("mult A=8 A=8 B=8", InputError, "A"), ("mult A=8 B=8 W=8", UnknownNameError, "W"),
    ("mult A=8 B=8 dsp_allowed=2", InputError, "dsp_allowed"), ("linebuffer WD=8 CB=8 STYLE=bram", InputError, "STYLE"),
    ("requant C=1 I=8 O=8 S=4", InputError, "O"), ("fifo_srl W=8 D=1", InputError, "D"),
    ("resblock MODE=3 WD=8 C=2 B=2", InputError, "MODE"),
])  # fmt: skip
def test_points_that_break_a_rule(text, error, field):
    with pytest.raises(error) as found:
        parsed_point(text)
    assert found.value.field == field


def test_only_circuits_of_our_own_are_written():
    with pytest.raises(UnsupportedError, match="fpga fifo_srl"):
        verilog_of_estimate(estimate("mac", format="int8", node_nm=28))
