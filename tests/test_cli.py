"""The command line as its users meet it: what goes to which stream, which files are written, and exit codes."""

import json
import os
import re
import subprocess
import sys

import pytest

import accelsim
from accelsim import api
from accelsim.cli import main
from accelsim.documents import bundled_folder
from accelsim.numerics import FORMATS
from accelsim.pipeline import Evaluation
from tests.conftest import says
from tests.models import model_file

SMALL = "lstm:steps=3,input_size=8,hidden_size=8"
QUICK = ("simulate", SMALL, "rapid-4core", "--precision", "int4", "--no-intervals")
COMMANDS = ("simulate", "compare", "emulate", "sweep", "validate", "estimate", "list", "show", "schema")
RESULT_KEYS = {
    "workload", "architecture", "precision", "latency_s", "real_time_factor", "throughput_per_s", "energy_j", "macs",
    "weight_bytes", "dram_bytes", "utilization", "bottleneck", "resources", "intervals", "provenance",
}  # fmt: skip


def one_document(out):
    """The single JSON document on standard output: strict JSON, and nothing else there."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    document, end = json.JSONDecoder(parse_constant=refuse).raw_decode(out)
    assert out[end:] == "\n"
    return document


def process(*arguments, code="from accelsim.cli import main; import sys; sys.exit(main())", **options):
    """A run of its own interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False, **options
    )


# Help


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help(capsys, name):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"] if name else ["--help"])
    out, err = capsys.readouterr()
    assert left.value.code == 0
    assert err == ""
    assert out.startswith(f"usage: accelsim {name}".rstrip())
    assert all(each in out for each in (COMMANDS if not name else ["--json"]))


def test_help_names_every_choice_and_the_form_of_precisions(capsys):
    with pytest.raises(SystemExit):
        main(["simulate", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert says(out, "{auto,des,maxplus}", "{op,tile}", "pattern=format,...,default=format", "NAME=1x3x224x224")


def test_the_commands_in_the_help_are_commands_that_work(capsys):
    """Each example of the epilog parses; those that need no model file also run."""
    with pytest.raises(SystemExit):
        main(["--help"])
    examples = re.findall(r"^  accelsim (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        words = example.split()
        assert words[0] in COMMANDS
        if words[0] in ("list", "show"):
            assert main(words) == 0


def test_version(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"accelsim {accelsim.__version__}\n"


# simulate and compare


def test_simulate_prints_a_table(cli):
    code, out, err = cli(*QUICK)
    assert (code, err) == (0, "")
    assert says(out, "lstm on rapid-4core: int4", "Latency", "Energy", "Bottleneck: ", "Utilisation", "layer.0")


def test_simulate_json_is_one_document_with_every_key(cli):
    code, out, err = cli(*QUICK, "--json")
    assert (code, err) == (0, "")
    document = one_document(out)
    assert set(document) >= RESULT_KEYS
    assert (document["workload"], document["architecture"], document["precision"]) == ("lstm", "rapid-4core", "int4")
    assert document["macs"] == 3 * 4 * 8 * (8 + 8)
    assert document["weight_bytes"] < 4 * 8 * 17 * 2
    assert document["real_time_factor"] is None  # absent, and not missing
    assert document["bottleneck"] in document["utilization"]
    assert all(0 <= share <= 1 for share in document["utilization"].values())
    assert document["intervals"] == {}
    assert document["provenance"]["options"]["precision"] == "int4"


def test_intervals_hold_the_nominal_values(cli):
    document = one_document(cli("simulate", "rnnt-mlperf:audio_s=0.3", "systolic-32x32", "--json")[1])
    assert document["real_time_factor"] == pytest.approx(document["latency_s"] / document["audio_s"])
    for metric in ("latency_s", "energy_j", "throughput_per_s", "real_time_factor"):
        low, high = document["intervals"][metric]
        assert low <= document[metric] <= high
        assert low < high
    assert document["sensitivity"]


def test_compare_json_is_one_document_with_every_key(cli):
    code, out, err = cli("compare", SMALL, "rapid-4core", "--precision", "fp16", "--precision", "int4", "--json")
    assert (code, err) == (0, "")
    document = one_document(out)
    assert set(document) >= {"runs", "speedup", "compression", "intervals"}
    assert list(document["runs"]) == ["fp16", "int4"]
    assert all(set(run) >= RESULT_KEYS for run in document["runs"].values())
    assert document["speedup"] == pytest.approx(
        document["runs"]["fp16"]["latency_s"] / document["runs"]["int4"]["latency_s"]
    )
    assert document["compression"] > 4


def test_compare_prints_a_table_and_defaults_to_fp16_and_int4(cli):
    code, out, err = cli("compare", SMALL, "rapid-4core", "--no-intervals")
    assert (code, err) == (0, "")
    assert says(out.lower(), "speed-up", "compression", "fp16", "int4")


@pytest.mark.parametrize("command", ["simulate", "compare"])
def test_files_are_written_and_told_on_standard_error(cli, tmp_path, command):
    report, trace = tmp_path / "report.html", tmp_path / "trace.json"
    code, out, err = cli(command, SMALL, "rapid-4core", "--no-intervals", "--json", "--html", report, "--trace", trace)
    assert code == 0
    one_document(out)
    assert err == f"accelsim: wrote {report}\naccelsim: wrote {trace}\n"
    assert report.read_text().lstrip().lower().startswith("<!doctype html>")
    assert json.loads(trace.read_text())["traceEvents"]
    assert sorted(tmp_path.iterdir()) == [report, trace]


def test_an_override_counts_and_is_recorded(cli):
    path = "memory.dram.bandwidth_bytes_per_s"
    before = one_document(cli(*QUICK, "--json")[1])
    after = one_document(cli(*QUICK, "--json", "--set", f"{path}=50e9", "--set", "interconnect.topology=mesh")[1])
    assert after["latency_s"] > before["latency_s"]
    assert after["provenance"]["options"]["overrides"] == {path: 50e9, "interconnect.topology": "mesh"}
    assert after["provenance"]["architecture_sha256"] != before["provenance"]["architecture_sha256"]


def test_an_override_may_be_a_list_or_a_constant_with_its_owner(cli):
    settings = ["array.dataflows=[output_stationary]", "leakage_w={value: 2, source: measured}"]
    options = [part for each in settings for part in ("--set", each)]
    document = one_document(cli(*QUICK, "--json", *options)[1])
    assert document["provenance"]["options"]["overrides"]["array.dataflows"] == ["output_stationary"]


def test_precision_by_patterns(cli):
    options = ["--precision", "*.input=fp16, default=int4", "--no-intervals", "--json"]
    mixed = one_document(cli("simulate", SMALL, "rapid-4core", *options)[1])
    pure = one_document(cli(*QUICK, "--json")[1])
    assert mixed["weight_bytes"] > pure["weight_bytes"]
    formats = mixed["provenance"]["options"]["formats"]
    assert formats == {"default": "int4", "*.input": "fp16"}


def test_batch_by_option_and_by_parameter(cli):
    by_option = one_document(cli(*QUICK, "--json", "--batch", 4)[1])
    by_parameter = one_document(cli("simulate", f"{SMALL},batch=4", *QUICK[2:], "--json")[1])
    assert by_option["batch"] == by_parameter["batch"] == 4
    assert by_option["latency_s"] == by_parameter["latency_s"]


def test_engines_and_details_agree(cli):
    for detail in ("op", "tile"):
        latencies = set()
        for engine in ("des", "maxplus"):
            document = one_document(cli(*QUICK, "--json", "--engine", engine, "--detail", detail)[1])
            latencies.add(document["latency_s"])
            assert document["provenance"]["options"]["engine"] == engine
            assert document["provenance"]["options"]["detail"] == detail
        assert len(latencies) == 1


def test_the_same_command_gives_the_same_document(cli):
    assert cli(*QUICK, "--json") == cli(*QUICK, "--json")


def test_a_real_onnx_model(cli):
    model = model_file("silero-vad", "6.2.3", "silero_vad/data/silero_vad.onnx")
    options = ["--shape", "input=1x576", "--shape", "state=2x1x128", "--value", "sr=16000"]
    code, out, err = cli("simulate", model, "rapid-4core", *options, "--no-intervals", "--json")
    assert (code, err) == (0, "")
    document = one_document(out)
    assert document["macs"] == 679_552
    code, out, err = cli("show", model, *options)
    assert (code, err) == (0, "")
    assert says(out, "silero_vad", "679.6 kMAC", "inputs: input 1x576", "recurrent")


# list, show and schema


@pytest.mark.parametrize("what", ["workloads", "architectures", "formats"])
def test_lists(cli, what):
    code, out, err = cli("list", what)
    assert (code, err) == (0, "")
    rows = one_document(cli("list", what, "--json")[1])
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]
    assert max(map(len, lines)) <= 120
    assert all(row["description"].strip() and "\n" not in row["description"] for row in rows)
    if what == "formats":
        assert [row["name"] for row in rows] == list(FORMATS)
    else:
        folder = bundled_folder(what)
        paths = folder.glob("*.yaml") if what == "workloads" else folder.glob("*/architecture.yaml")
        names = [path.stem if what == "workloads" else path.parent.name for path in paths]
        assert [row["name"] for row in rows] == sorted(names)


def test_show_an_architecture(cli):
    code, out, err = cli("show", "rapid-4core")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 120
    assert says(
        out, "int4", "104.9 TOP/s", "16.5 TOP/J", "200,000,000,000", "assumed 50,000,000,000 to 250,000,000,000"
    )
    assert re.search(r"interconnect\.topology +ring", out)
    document = one_document(cli("show", "rapid-4core", "--json")[1])
    assert document["peaks"]["int4"]["ops_per_s"] == pytest.approx(104.9e12, rel=1e-3)
    assert document["constants"]["memory.dram.bandwidth_bytes_per_s"]["source"] == "assumed"
    assert document["settings"]["array.dataflows"] == ["weight_stationary"]
    for path in document["constants"]:
        assert path in out
    assert ("--json has them whole" in out) == any(line.endswith(" ...") for line in out.splitlines())


def test_show_a_machine_that_spends_nothing(cli, tmp_path):
    """An efficiency that is not finite is null in JSON, which has no infinity."""
    data = (bundled_folder("architectures") / "systolic-32x32" / "architecture.yaml").read_text()
    data = re.sub(r"(energy_pj_per_mac|leakage_w): \{.*\}", r"\1: {value: 0, source: a test}", data)
    path = tmp_path / "free.yaml"
    path.write_text(data)
    document = one_document(cli("show", path, "--json")[1])
    assert {peak["ops_per_joule"] for peak in document["peaks"].values()} == {None}
    assert "unbounded" in cli("show", path)[1]


def test_show_a_workload(cli):
    code, out, err = cli("show", "rnnt-lm-fusion:audio_s=2")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 120
    assert re.search(r"prefix_cache +yes", out)
    assert says(out, "2 s of audio", "parameters", "assumed", "precision recipes", "encoder.0", "joint.output")
    document = one_document(cli("show", "rnnt-lm-fusion:audio_s=2", "--json")[1])
    graph = accelsim.load_workload("rnnt-lm-fusion", audio_s=2)
    assert document["macs"] == graph.macs == sum(op["macs"] for op in document["ops"])
    assert document["parameters"] == graph.parameters
    assert document["parameters_used"]["beam_width"]["low"] < document["parameters_used"]["beam_width"]["high"]


def test_show_an_array_that_is_made_from_its_name(cli):
    code, out, err = cli("show", "systolic-64x32-os")
    assert (code, err) == (0, "")
    assert says(out, "systolic-64x32-os (digital)", "output_stationary", "4.096 TOP/s")


def test_show_files(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "chip.v2"
    folder.mkdir()
    rapid = (bundled_folder("architectures") / "rapid-4core" / "architecture.yaml").read_text()
    (folder / "architecture.yaml").write_text(rapid)
    (tmp_path / "net.yaml").write_text((bundled_folder("workloads") / "lstm.yaml").read_text())
    assert cli("show", "chip.v2")[1] == cli("show", "chip.v2/architecture.yaml")[1] == cli("show", "rapid-4core")[1]
    assert cli("show", "net.yaml")[1].startswith("net\n")
    assert cli("simulate", "net.yaml", "chip.v2", "--no-intervals")[0] == 0


@pytest.mark.parametrize("what", ["architecture", "workload"])
def test_schemas(cli, what):
    code, out, err = cli("schema", what)
    assert (code, err) == (0, "")
    schema = one_document(out)
    models = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in schema.get("oneOf", ())] or [schema]
    assert all(model["type"] == "object" and "description" in model["properties"] for model in models)
    assert cli("schema", what, "--json")[1] == out


# Exit codes and streams


def test_a_broken_certificate_is_a_defect_of_ours(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(Evaluation, "check", lambda _: ["time runs backwards"])
    code, out, err = cli(*QUICK, "--json", "--html", tmp_path / "report.html")
    assert (code, out) == (1, "")
    assert says(err, "accelsim: defect: ", "time runs backwards", "Please report it")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_stops(cli, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "simulate", interrupted)
    assert cli(*QUICK) == (130, "", "accelsim: stopped\n")


def test_a_defect_shows_where_it_is():
    code = "import sys; from accelsim import api, cli; api.simulate = lambda *_, **__: 1 / 0; sys.exit(cli.main())"
    done = process(*QUICK, code=code)
    assert done.returncode == 1
    assert done.stdout == ""
    assert says(done.stderr, "Traceback", "ZeroDivisionError")


def test_the_module_and_its_exit_codes():
    done = subprocess.run(
        [sys.executable, "-m", "accelsim", "simulate", "lstn", "rapid-4core"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "accelsim: error: 'lstn' is not a known workload. Did you mean 'lstm'?\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(unbuffered):
    """As in ``accelsim show rapid-4core | head -1``, with output larger and smaller than a buffer."""
    for arguments in (["show", "rapid-4core"], ["list", "formats"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "accelsim", *arguments], stdout=writing, stderr=subprocess.PIPE, check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_without_the_letters():
    done = process(*QUICK, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\xb5s" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["simulate", "--help"]])
def test_help_loads_no_library(arguments):
    heavy = "numpy pandas numba plotly simpy onnx pydantic yaml networkx"
    code = f"""
import sys
from accelsim.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print(*(set({heavy!r}.split()) & set(sys.modules)), file=sys.stderr)
"""
    assert process(code=code).stderr == "\n"


def test_simulating_without_a_report_loads_neither_frames_nor_plots():
    code = """
import sys
from accelsim.cli import main
code = main()
print(*({"pandas", "plotly", "simpy", "onnx"} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""
    done = process(*QUICK, code=code)
    assert (done.returncode, done.stderr) == (0, "\n")
