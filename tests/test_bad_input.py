"""Bad input on the command line: exit code 2, one message that says where, what and what instead, and no files."""

import copy

import pytest
import yaml

import accelsim
from accelsim.documents import bundled_folder
from accelsim.errors import InfeasibleError
from tests.conftest import says

SMALL = "lstm:steps=3,input_size=8,hidden_size=8"
DRAM = "memory.dram.bandwidth_bytes_per_s"


# Names


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["simulat"], ["'simulat' is not a known command", "Did you mean 'simulate'?"]),
        (["simulate", "lstn", "rapid-4core"], ["'lstn' is not a known workload", "Did you mean 'lstm'?"]),
        (["simulate", "zzzz", "rapid-4core"], ["'zzzz' is not a known workload", "Known: ", "gemm, "]),
        (["simulate", "lstm", "rapid4core"], ["'rapid4core' is not a known architecture", "'rapid-4core'?"]),
        (["simulate", "lstm:step=3", "rapid-4core"], ["workload lstm: 'step' is not", "Did you mean 'steps'?"]),
        (["simulate", SMALL, "rapid-4core", "--precision", "int44"], ["precision: 'int44'", "Did you mean 'int4'?"]),
        (["simulate", SMALL, "rapid-4core", "--engine", "maxpls"], ["--engine: 'maxpls'", "Did you mean 'maxplus'?"]),
        (["simulate", SMALL, "rapid-4core", "--detail", "tiles"], ["--detail: 'tiles'", "Did you mean 'tile'?"]),
        (["simulate", SMALL, "rapid-4core", "--precison", "int4"], ["'--precison'", "Did you mean '--precision'?"]),
        (["simulate", SMALL, "rapid-4core", "--set", "memory.dram.bandwith_bytes_per_s=1"],
         ["rapid-4core: 'memory.dram.bandwith_bytes_per_s' is not", f"Did you mean '{DRAM}'?"]),
        (["simulate", "lstm", "rapid-4core", "--precision", "layer.0.imput=fp16,default=int4"],
         ["precision: 'layer.0.imput' is not a known op", "Did you mean 'layer.0.input'?"]),
        (["simulate", "lstm", "rapid-4core", "--precision", "layer.9=fp16,default=int4"],
         ["'layer.9' is not a known op", "layer.0.cell"]),
        (["simulate", "lstm", "rapid-4core", "--precision", "*.input=fp61,default=int4"], ["'fp61'", "'fp16'?"]),
        (["compare", SMALL, "rapid-4core", "--precision", "fp16", "--precision", "int44"], ["'int44'", "'int4'?"]),
        (["list", "workload"], ["'workload'", "Did you mean 'workloads'?"]),
        (["schema", "architectur"], ["'architectur'", "Did you mean 'architecture'?"]),
        (["show", "rapid-4cor"], ["'rapid-4cor' is not a known workload or architecture", "'rapid-4core'?"]),
        (["show", "rnnt-lm-fusoin"], ["Did you mean 'rnnt-lm-fusion'?"]),
        (["show", "lstm:step=3"], ["Did you mean 'steps'?"]),
    ],
)  # fmt: skip
def test_unknown_names_suggest_the_nearest(refused, arguments, parts):
    assert says(refused(*arguments), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["COMMAND", "See `accelsim --help`"]),
        (["simulate"], ["WORKLOAD, ARCH", "See `accelsim simulate --help`"]),
        (["simulate", "lstm"], ["ARCH", "See `accelsim simulate --help`"]),
        (["simulate", "lstm", "rapid-4core", "again"], ["'again' is one argument too many"]),
        (["simulate", "lstm", "rapid-4core", "--set"], ["--set", "expected one argument"]),
        (["show"], ["NAME"]),
        (["simulate", "", "rapid-4core"], ["workload argument: ''", "name:key=value"]),
        (["simulate", "lstm", ""], ["'' is not a known architecture"]),
        (["show", ""], ["'' is not a known workload or architecture"]),
        (["show", "x" * 5000], ["'xxx", "too long"]),
        (["simulate", "lstm", "x" * 5000], ["architecture: 'xxx", "too long"]),
    ],
)
def test_missing_odd_and_surplus_arguments(refused, arguments, parts):
    message = refused(*arguments)
    assert says(message, *parts)
    assert len(message) < 600


# Numbers


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        (f"{DRAM}=150GB/s", ["'150GB/s' must be a plain number: the unit is in the field's name", "Write 1.5e+11."]),
        ("clocks.core.clock_hz=1.6GHz", ["'1.6GHz'", "Write 1.6e+09."]),
        ("scratchpad.capacity_bytes=2MiB", ["'2MiB'", "Write 2097152."]),
        (f"{DRAM}=-1", ["-1 must be positive"]),
        (f"{DRAM}=0", ["0 must be positive"]),
        (f"{DRAM}=nan", ["nan must be a finite number"]),
        (f"{DRAM}=inf", ["inf must be a finite number"]),
        (f"{DRAM}=1e999", ["inf must be a finite number"]),
        ("cores=0", ["0 must be a whole number of 1 or more"]),
        ("cores=2.5", ["2.5 must be a whole number of 1 or more"]),
        ("cores=four", ["'four' must be a number"]),
        ("memory.dram.efficiency=90", ["90 must be above 0 and at most 1"]),
        ("interconnect.topology=torus", ["'torus' must be 'ring', 'mesh' or 'crossbar'"]),
        ("array.dataflows=[weight_statonary]", ["'weight_statonary' must be 'weight_stationary'"]),
        ("array.dataflows=[a, b", ["is not valid YAML"]),
        ("cores", ["'cores' must be NAME=VALUE"]),
        ("cores=", ["'cores=' must be NAME=VALUE"]),
        ("=4", ["'=4' must be NAME=VALUE"]),
    ],
)
def test_overrides_that_break_a_rule(refused, setting, parts):
    message = refused("simulate", SMALL, "rapid-4core", "--set", setting)
    path = setting.partition("=")[0]
    assert message.startswith((f"override of rapid-4core: {path}", "--set: "))
    assert says(message, *parts)


@pytest.mark.parametrize(
    ("workload", "parts"),
    [
        ("lstm:steps=-3", ["workload lstm: steps: -3 must be 1 or more"]),
        ("lstm:steps=0", ["workload lstm: steps: 0 must be 1 or more"]),
        ("lstm:steps=.nan", ["steps: nan must be a finite number"]),
        ("lstm:steps=.inf", ["steps: inf must be a finite number"]),
        ("lstm:steps=1.5", ["steps: 1.5 must be a whole number"]),
        ("lstm:steps=ten", ["steps: 'ten' must be a number"]),
        ("rnnt:audio_s=-1", ["audio_s: -1 must be above 0"]),
        ("rnnt:audio_s=10s", ["'10s' must be a plain number", "Write 10."]),
        ("mlp:sizes=[4,-3,2]", ["sizes[1]: -3 must be 1 or more"]),
        ("mlp:sizes=4", ["sizes: 4 must be a list", "[784, 256, 10]"]),
        ("gemm:m=1e9,n=1e9,k=1e9", ["tensor", "Choose smaller sizes"]),
        ("lstm:steps", ["'lstm:steps' is not a workload", "name:key=value"]),
        ("lstm:steps=3,", ["must be key=value"]),
        ("lstm:steps=3,steps=4", ["steps: stands twice"]),
        ("lstm:steps=*a", ["is not valid YAML", "aliases"]),
    ],
)
def test_workload_parameters_that_break_a_rule(refused, workload, parts):
    assert says(refused("simulate", workload, "rapid-4core"), *parts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--batch", "0"], ["batch: 0 must be 1 or more"]),
        (["--batch", "-2"], ["batch: -2 must be 1 or more"]),
        (["--batch", "two"], ["--batch: 'two' must be a whole number"]),
        (["--set", "cores=1", "--set", "cores=2"], ["--set: cores: stands twice"]),
        (["--precision", "a=fp16,a=int4"], ["--precision: a: stands twice"]),
        (["--precision", "*.input=fp16"], ["precision: has no format for the other ops", "Add the pattern '*'"]),
        (["--precision", "*.input="], ["--precision: '*.input=' must be NAME=VALUE"]),
        (["--precision", ""], ["precision: '' is not a known format or recipe", "fp16"]),
        (["--shape", "input=1x3"], ["shapes: is for ONNX models"]),
        (["--value", "sr=16000"], ["values: is for ONNX models"]),
        (["--shape", "input=1x0"], ["--shape: input: '1x0' must be sizes of 1 or more", "1x3x224x224"]),
        (["--shape", "input=1x²"], ["'1x²' must be sizes of 1 or more"]),
        (["--shape", f"input={'9' * 5000}"], ["must be sizes of 1 or more"]),
        (["--shape", "input"], ["--shape: 'input' must be NAME=VALUE"]),
        (["--shape", "a=1", "--shape", "a=2"], ["--shape: a: stands twice"]),
        (["--value", "sr=fast"], ["--value: sr: 'fast' must be a number"]),
        (["--value", "sr=nan"], ["--value: sr: 'nan' must be a number"]),
    ],
)
def test_options_that_break_a_rule(refused, options, parts):
    assert says(refused("simulate", SMALL, "rapid-4core", *options), *parts)


def test_a_batch_that_is_given_twice(refused):
    assert says(refused("simulate", "lstm:batch=2", "rapid-4core", "--batch", "2"), "--batch: 2 is given twice")


@pytest.mark.parametrize("precisions", [["fp16"], ["fp16", "fp16"]])
def test_a_comparison_of_one_precision(refused, precisions):
    options = [part for each in precisions for part in ("--precision", each)]
    assert says(refused("compare", SMALL, "rapid-4core", *options), "needs two different precisions", "fp16 and int4")


def test_a_comparison_by_patterns(refused):
    message = refused("compare", SMALL, "rapid-4core", "--precision", "*.input=int4,default=fp16")
    assert says(message, "--precision", "'*.input=int4,default=fp16'", "recipe")


# What an architecture cannot do


@pytest.mark.parametrize("command", ["simulate", "compare"])
def test_a_format_without_a_unit(refused, command):
    options = ["--precision", "int8"] if command == "simulate" else ["--precision", "fp16", "--precision", "int8"]
    message = refused(command, SMALL, "rapid-4core", *options)
    assert says(
        message, "rapid-4core", "layer.0.input", "'int8' has no matrix unit", "fp16, hfp8, fp8_e4m3, int4, int2"
    )


@pytest.mark.parametrize(
    ("workload", "setting", "parts"),
    [
        ("lstm", "scratchpad.capacity_bytes=64", ["layer.0", "scratchpad"]),
        ("resnet-18", "scratchpad.capacity_bytes=64", ["conv1", "scratchpad"]),
        ("lstm", "memory.dram.capacity_bytes=64", ["workload lstm", "DRAM capacity, which has 64 bytes"]),
    ],
)
def test_a_layer_that_fits_nowhere(refused, tmp_path, workload, setting, parts):
    outputs = ["--json", "--html", tmp_path / "report.html", "--trace", tmp_path / "trace.json"]
    message = refused("simulate", workload, "systolic-32x32", "--set", setting, *outputs)
    assert message.startswith("infeasible: ")
    assert says(message, *parts, " needs ", " bytes of ", "which has ", "Ask for less")


def test_infeasibility_is_data_in_python():
    small = accelsim.load_architecture("systolic-32x32").override({"memory.dram.capacity_bytes": 64})
    with pytest.raises(InfeasibleError) as caught:
        accelsim.simulate("lstm", small)
    found = caught.value.infeasible
    assert (found.resource, found.bound, found.unit) == ("DRAM capacity", 64, "bytes")
    assert found.demand > 64
    assert found.where == "workload lstm"


@pytest.mark.parametrize("setting", [f"{DRAM}=1e-9", "clocks.core.clock_hz=1e-9", "op_overhead_cycles=1e30"])
def test_machines_too_slow_for_the_range_of_time(refused, setting):
    assert says(refused("simulate", SMALL, "rapid-4core", "--set", setting), "9223 s", "clock and bandwidths")


# Output files


@pytest.mark.parametrize("option", ["--html", "--trace"])
def test_output_files_that_cannot_be(refused, tmp_path, option):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path, rule in [
        ("missing/a.html", "lies in a folder that does not exist"), ("folder", "is a folder"), (".", "is a folder"),
        ("file/a.html", "lies in a folder that does not exist"), ("x" * 300, "cannot be written (File name too long)"),
    ]:  # fmt: skip
        message = refused("simulate", "no-such-workload", "rapid-4core", option, path)
        assert says(message, f"{option}: ", rule), "refused before any work"


def test_one_file_for_two_outputs(refused):
    message = refused("simulate", SMALL, "rapid-4core", "--html", "a", "--trace", "./a")
    assert says(message, "--trace: 'a' is also the file of --html")


def test_a_report_that_is_there_stays_as_it_is(refused, tmp_path):
    report = tmp_path / "report.html"
    report.write_text("mine")
    refused("simulate", SMALL, "rapid-4core", "--set", "memory.dram.capacity_bytes=64", "--html", report)
    assert report.read_text() == "mine"


# Files


def bomb(levels):
    """A YAML file that would grow by a factor of nine a level."""
    lines = ["a0: &a0 [x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


UNREADABLE = [
    ("empty.yaml", b"", "must be a mapping of fields"),
    ("list.yaml", b"[1, 2]", "must be a mapping of fields"),
    ("binary.yaml", bytes(range(128, 256)), "is not UTF-8 text (byte 0)"),
    ("latin.yaml", "name: é".encode("latin-1"), "is not UTF-8 text (byte 6)"),
    ("bomb.yaml", bomb(12).encode(), "aliases (*name) are not allowed"),
    ("deep.yaml", b"a: " + b"[" * 5000 + b"]" * 5000, "nests deeper than 40 levels"),
    ("tag.yaml", b"a: !!python/object/apply:os.system ['true']", "tags (tag:yaml.org,2002:python"),
    ("twice.yaml", b"kind: digital\nkind: digital", "stands twice"),
    ("broken.yaml", b"kind: [digital", "is not valid YAML"),
    ("huge.yaml", b"a: " + b"x" * (1 << 20), "is larger than 1048576 bytes"),
    ("control.yaml", b"a: \x00", "is not valid YAML"),
]


@pytest.mark.parametrize(("name", "content", "rule"), UNREADABLE, ids=[each[0] for each in UNREADABLE])
def test_files_that_are_no_description(refused, tmp_path, name, content, rule):
    path = tmp_path / name
    path.write_bytes(content)
    for arguments in (["simulate", path, "rapid-4core"], ["simulate", "lstm", path], ["show", path]):
        message = refused(*arguments)
        assert message.startswith(f"{path}: ")
        assert rule in message
        assert len(message) < 1000


def test_other_things_than_files(refused, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "program").write_bytes(b"\x7fELF" + bytes(100))
    assert says(refused("simulate", folder, "rapid-4core"), "is not a known workload")
    assert says(refused("simulate", "lstm", folder), str(folder), "is a folder without architecture.yaml")
    assert says(refused("show", folder), str(folder), "is a folder without architecture.yaml")
    assert says(refused("simulate", tmp_path / "folder.yaml", "rapid-4core"), "folder.yaml: cannot be read")
    assert says(refused("simulate", "lstm", tmp_path / "absent.yaml"), "absent.yaml: cannot be read (No such file")
    assert says(refused("simulate", tmp_path / "program", "rapid-4core"), "program", "Name it .yaml, .onnx")
    assert says(refused("simulate", "lstm", tmp_path / "program"), "program: is not")


def test_a_workload_where_an_architecture_belongs(refused):
    lstm = bundled_folder("workloads") / "lstm.yaml"
    rapid = bundled_folder("architectures") / "rapid-4core" / "architecture.yaml"
    assert says(refused("simulate", "lstm", lstm), str(lstm), "kind: is missing", "Write one of digital")
    assert says(refused("simulate", rapid, "rapid-4core"), str(rapid))


def test_an_architecture_file_with_a_slip(refused, tmp_path):
    data = yaml.safe_load((bundled_folder("architectures") / "systolic-32x32" / "architecture.yaml").read_text())
    path = tmp_path / "mine.yaml"

    def with_dram(**fields):
        changed = copy.deepcopy(data)
        changed["memory"]["dram"].update(fields)
        path.write_text(yaml.safe_dump(changed))
        return refused("simulate", "lstm", path)

    assert says(
        with_dram(bandwidth_bytes_per_s=1e9),
        f"{path}: {DRAM}: ",
        "1000000000.0 is a number without an owner",
        "source: <citation>",
    )
    assert says(with_dram(bandwidth_bytes_per_s={"value": "25GB/s", "source": "x"}), DRAM, "'25GB/s'", "Write 2.5e+10")
    assert says(with_dram(bandwidth_bytes_per_s={"value": -1, "source": "x"}), f"{DRAM}: -1 must be positive")
    assert says(with_dram(bandwidth_hz=1), "memory.dram.bandwidth_hz: is not a known field", "Did you mean")
