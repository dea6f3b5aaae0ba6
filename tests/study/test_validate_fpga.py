"""Target fpga and `accelsim estimate fpga`: bundled synthesis, users' folders, and what is refused."""

import csv
import json

import pytest

import accelsim
from accelsim.cli import main
from accelsim.documents import bundled_folder
from accelsim.errors import InputError, UnknownNameError
from accelsim.study.circuits import circuit
from accelsim.study.circuits.fpga import known_fpga_circuits
from accelsim.study.validate import validate

BUNDLED = bundled_folder("validation") / "fpga"
FAMILIES = validate(["fpga"]).targets["fpga"].families
VALIDATED = sorted(name for name in FAMILIES if "(calibrate)" not in name and name != "resblock_difference")


@pytest.mark.parametrize("name", VALIDATED)
def test_rows_that_set_no_constant(name):
    """Limits of the requirements: LUT 7 % and FF 5 % at the median, memories and DSP slices exact."""
    family = FAMILIES[name]
    assert family.failed == 0
    assert family.metrics["LUT_total"].median_ape <= 7
    assert family.metrics["FF"].median_ape <= 5
    for exact in ("BRAM18_eq", "DSP"):
        assert family.metrics[exact].exact == family.metrics[exact].compared


@pytest.mark.parametrize("name", VALIDATED)
def test_the_stated_band_holds_every_row(name):
    """What `estimate` states as a range is no narrower than the errors that validation finds."""
    given = {"depth": 16} if name == "resblock" else {}
    needed = {each.name: 16 for each in circuit(f"fpga {name}").parameters if each.default is None}
    needed |= {"out_bits": 4, "shift": 4} if name == "requant" else given
    figures = accelsim.estimate("fpga", name, **needed).figures
    for metric, figure in (("LUT_total", figures["lut"]), ("FF", figures["ff"])):
        assert FAMILIES[name].metrics[metric].worst <= 100 * (figure.high / figure.value - 1) + 1e-9


def test_whole_blocks_lie_within_a_tenth():
    metrics = FAMILIES["resblock"].metrics
    assert metrics["LUT_total"].worst <= 10
    assert metrics["FF"].worst <= 10


def test_what_skips_add():
    """Flip-flops, block RAM and DSP slices of a skip are exact; its LUTs drown in the scatter of the whole block."""
    metrics = FAMILIES["resblock_difference"].metrics
    for exact in ("FF_difference", "BRAM18_eq_difference", "DSP_difference"):
        assert metrics[exact].exact == metrics[exact].compared == 11
    signs = [
        each.predicted > 0 and each.measured > 0
        for row in FAMILIES["resblock_difference"].rows for each in row.comparisons if each.metric.startswith("LUT")
    ]  # fmt: skip
    assert all(signs)


def test_calibration_rows_share_no_parameters_with_the_others():
    names: dict[str, set[str]] = {}
    for file in sorted(BUNDLED.glob("yosys_*.csv")):
        with file.open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                names.setdefault(row["use"], set()).add(row["name"])
    assert set(names) == {"calibrate", "validate"}
    assert not names["calibrate"] & names["validate"]


def test_a_folder_of_the_user(tmp_path):
    (tmp_path / "yosys_mine.csv").write_text(
        "name,family,W,D,LUT_total,FF,BRAM18_eq,DSP\n"
        "good,fifo_srl,8,32,19,6,0,0\nzero,fifo_srl,8,0,19,6,0,0\nodd,fifo_sr,8,32,19,6,0,0\n"
    )
    (tmp_path / "vivado_finn_residual_nodes.csv").write_text(
        "node,op,width,depth,style,synth_LUT,synth_FF,synth_BRAM_36K,synth_BRAM_18K,synth_DSP\n"
        "f0,StreamingFIFO_rtl,8,2048,vivado,70,61,0,1,0\nx,Softmax,8,8,,1,1,0,0,0\n"
    )
    (tmp_path / "skip_fifo_min_depth_rtlsim.csv").write_text("skip,width\naround,4\n")
    families = validate(["fpga"], tmp_path).targets["fpga"].families
    assert (families["fifo_srl"].compared, families["fifo_srl"].failed) == (1, 1)
    assert families["fifo_srl"].metrics["LUT_total"].exact == 1
    assert "1 or more" in families["fifo_srl"].rows[1].failed_reason
    assert "'fifo_srl'" in families["fifo_sr"].rows[0].failed_reason
    nodes = families["vivado_finn_residual_nodes"]
    assert nodes.metrics["BRAM18"].exact == 1
    assert "StreamingFIFO_rtl" in nodes.rows[1].failed_reason
    assert "must be around one or around two" in families["skip_fifo_min_depth_rtlsim"].rows[0].failed_reason


def test_whole_dataflows_of_the_user(tmp_path):
    """Depths and cycles are those of the RTL simulation of the reference data; the other rows are made up."""
    (tmp_path / "skip_fifo_min_depth_rtlsim.csv").write_text(
        "skip,width,height,min_depth_no_deadlock,min_depth_full_throughput,cycles_full,cycles_at_min\n"
        "around two 3x3 convolutions,4,4,10,11,252,287\n"
    )
    (tmp_path / "hls4ml_residual_fifo_depths.csv").write_text(
        "image_width,fifo,depth_after_optimisation\n32,padding to convolution,60\n32,elsewhere,3\n"
    )
    (tmp_path / "vivado_finn_residual_builds.csv").write_text(
        "build,synth_LUT,synth_FF,synth_BRAM_36K,synth_BRAM_18K,synth_DSP\nmine,300,180,0,3,0\nother,1,1,0,0,0\n"
    )
    node = "mine,StreamingFIFO_rtl_{},StreamingFIFO_rtl,8,2048,vivado,70,61,0,1,0,skip_branch\n"
    (tmp_path / "vivado_finn_residual_nodes.csv").write_text(
        "build,node,op,width,depth,style,synth_LUT,synth_FF,synth_BRAM_36K,synth_BRAM_18K,synth_DSP,role\n"
        + node.format(0) + node.format(2)
    )  # fmt: skip
    (tmp_path / "vivado_finn_networks.csv").write_text(
        "dut,model,idt,wdt,act,mw,mh,simd,pe,mem_mode,est_max_cycles,synth_LUT,synth_FF,synth_BRAM_36K,"
        "synth_BRAM_18K,synth_DSP\n"
        "mvau,,INT2,INT4,INT4,64,64,1,1,internal_embedded,,823,474,0,0,0\n"
        "tfc,x/tfc-w2a2_qonnx.onnx,,,,,,,,,64,28515,34673,25,1,0\nown,x/mine.onnx,,,,,,,,,64,1,1,0,0,0\n"
    )
    found = validate(["fpga"], tmp_path).targets["fpga"].families
    assert found["skip_fifo_min_depth_rtlsim"].exact == 1
    depths = found["hls4ml_residual_fifo_depths"]
    assert (depths.compared, depths.failed) == (1, 1)
    assert depths.metrics["depth"].worst < 15
    builds = found["vivado_finn_residual_builds"]
    assert "2 of 3 nodes" in builds.rows[0].comparisons[0].note
    assert {each.metric: each.predicted for each in builds.rows[0].comparisons}["BRAM18"] == 3
    assert "no node" in builds.rows[1].failed_reason
    networks = found["vivado_finn_networks"]
    assert (networks.compared, networks.failed) == (2, 1)
    assert networks.metrics["DSP"].exact == 2
    assert "neither layers nor folding" in networks.rows[2].failed_reason


@pytest.mark.parametrize("name", known_fpga_circuits())
def test_every_circuit_asks_for_what_it_needs(name):
    needed = [each for each in circuit(f"fpga {name}").parameters if each.default is None and not each.optional]
    given = {each.name: 4 for each in needed} | ({"depth": 4} if name == "resblock" else {})
    given |= {"in_bits": 24, "out_bits": 8} if name == "requant" else {}
    found = accelsim.estimate("fpga", name, **given).to_document()
    assert found["lut"] == found["lut_logic"] + found["lut_srl"] + found["lut_lutram"] > 0
    assert {"ff", "bram18", "uram", "dsp"} <= found.keys()
    with pytest.raises(InputError, match="is missing"):
        accelsim.estimate("fpga", name)


def test_the_columns_of_the_tables_are_names_too(capsys):
    assert main(["estimate", "fpga", "fifo_srl", "W=8", "D=32", "--json"]) == 0
    short = json.loads(capsys.readouterr().out)
    assert main(["estimate", "fpga", "fifo_srl", "width_bits=8", "depth=32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == short
    assert (short["lut"], short["lut_srl"], short["ff"]) == (19, 8, 6)
    block = accelsim.estimate("fpga", "resblock", MODE=1, WD=32, C=8, B=4, FD=68, dsp_allowed=0)
    assert block.parameters["skips"] == "long"
    assert block.figures["bram18"].value == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fpga"], ["circuit", "is missing", "fifo_srl"]),
        (["fpga", "fifo_slr"], ["Did you mean 'fifo_srl'"]),
        (["fpga", "fifo_srl", "W=8", "depht=3"], ["Did you mean 'depth'"]),
        (["fpga", "fifo_srl", "W=8", "width_bits=8", "D=4"], ["given twice"]),
        (["fpga", "mult", "A=8", "B=8", "dsp=2"], ["dsp", "0 or 1"]),
        (["fpga", "resblock", "C=4", "B=4", "WD=8"], ["depth", "is missing"]),
        (["fgpa"], ["Did you mean 'fpga'"]),
    ],
)
def test_what_is_refused(words, said, capsys):
    assert main(["estimate", *words]) == 2
    message = capsys.readouterr().err
    assert all(each in message for each in said), message


def test_a_circuit_that_is_none():
    with pytest.raises(UnknownNameError, match="'mult'"):
        accelsim.estimate("fpga", "mul", A=8, B=8)
