"""What `import accelsim` gives: every public name, and results with the attributes that users are promised."""

import doctest
import json
import math
import subprocess
import sys
import types

import pandas as pd
import pytest

import accelsim
from accelsim.documents import bundled_folder
from accelsim.errors import CertificateError, InputError, UnknownNameError
from accelsim.pipeline import Evaluation
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import MatMul
from tests.conftest import says

SIZES = {"steps": 3, "input_size": 8, "hidden_size": 8}
RAPID = bundled_folder("architectures") / "rapid-4core"


@pytest.fixture(scope="module")
def result():
    return accelsim.simulate(accelsim.load_workload("lstm", **SIZES), "rapid-4core", precision="int4")


@pytest.fixture(scope="module")
def comparison():
    return accelsim.compare(accelsim.load_workload("lstm", **SIZES), "rapid-4core")


def product(**settings):
    """A graph made by hand, of one product."""
    tensors = {"x": Tensor("x", (2, 4)), "w": Tensor("w", (4, 3), "weight"), "y": Tensor("y", (2, 3))}
    op = MatMul(name="a", inputs=("x", "w"), outputs=("y",), m=2, n=3, k=4)
    return Graph("made", (op,), tensors, ("x",), ("y",), **settings)


# Names


def test_every_public_name_is_listed_and_loads():
    assert len(set(accelsim.__all__)) == len(accelsim.__all__)
    assert dir(accelsim) == sorted(accelsim.__all__)
    for name in accelsim.__all__:
        assert getattr(accelsim, name) is not None
    public = {
        "load_workload", "from_onnx", "load_architecture", "simulate", "compare", "numerics", "Result", "Comparison",
        "Graph", "Architecture", "AccelsimError", "InputError", "InfeasibleError", "__version__",
    }  # fmt: skip
    assert public <= set(accelsim.__all__)


def test_star_import_gives_exactly_the_public_names():
    names: dict = {}
    exec("from accelsim import *", names)
    assert set(names) - {"__builtins__"} == set(accelsim.__all__)


def test_what_is_not_public_is_not_there():
    for name in ("Evaluation", "Simulate", "numpy"):
        with pytest.raises(AttributeError, match=f"module 'accelsim' has no attribute '{name}'"):
            getattr(accelsim, name)


def test_public_functions_and_classes_say_what_they_do():
    for name in set(accelsim.__all__) - {"__version__"}:
        thing = getattr(accelsim, name)
        assert (thing.__doc__ or "").strip(), name
        assert isinstance(thing, type | types.FunctionType | types.ModuleType)
    for kind in (accelsim.Result, accelsim.Comparison):
        public = {name for name in vars(kind) if not name.startswith("_")}
        assert public >= {"check", "to_json", "to_frame", "to_html", "intervals", "sensitivity"}


def test_importing_is_light():
    code = "import accelsim, sys; accelsim.InputError; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "accelsim.errors" in loaded
    assert not loaded & {"numpy", "pandas", "numba", "plotly", "simpy", "onnx", "pydantic", "yaml", "networkx"}
    assert "accelsim.api" not in loaded


def test_the_example_in_the_package_is_true():
    outcome = doctest.testmod(accelsim)
    assert outcome.attempted >= 3
    assert outcome.failed == 0


# Results


def test_the_scalars_of_a_result(result):
    assert 0 < result.latency_s < 1
    assert result.throughput_per_s == pytest.approx(1 / result.latency_s)
    assert result.energy_j > 0
    assert result.area_mm2 == 36
    assert result.real_time_factor is None
    assert result.macs == 3 * 4 * 8 * 16
    assert result.weight_bytes == 4 * 8 * (8 + 8) * 0.5 + 2 * 4 * 8 * 2  # weights in INT4, two biases in FP16
    assert result.dram_bytes > result.weight_bytes
    for each in (result.latency_s, result.energy_j, result.throughput_per_s, result.dram_bytes):
        assert type(each) is float


def test_the_real_time_factor_of_speech():
    workload = accelsim.load_workload("rnnt-mlperf", audio_s=0.3)
    result = accelsim.simulate(workload, "systolic-32x32", intervals=False)
    assert result.real_time_factor == pytest.approx(result.latency_s / 0.3)


def test_utilisation_and_bottleneck(result):
    assert all(0 <= share <= 1 for share in result.utilization.values())
    busiest = max((share, name) for name, share in result.utilization.items() if name != "macs")
    assert result.utilization[result.bottleneck] == busiest[0]


def test_resources_are_used_within_their_budget(result):
    assert set(result.resources) == {"scratchpad_bytes", "dram_bytes"}
    for each in result.resources.values():
        assert 0 < each["used"] <= each["budget"]


def test_ops_is_a_frame_with_a_row_an_op(result):
    assert isinstance(result.ops, pd.DataFrame)
    assert {"unit", "macs", "bytes", "start_s", "end_s", "stall_s", "energy_j"} <= set(result.ops.columns)
    assert result.ops["macs"].sum() == result.macs
    assert (result.ops["end_s"] >= result.ops["start_s"]).all()
    assert result.ops["end_s"].max() == pytest.approx(result.latency_s)
    assert result.ops is result.ops  # made once


def test_intervals_and_sensitivity(result):
    assert set(result.intervals) == {"latency_s", "energy_j", "throughput_per_s"}
    for metric, (low, high) in result.intervals.items():
        assert low < getattr(result, metric) < high
    assert isinstance(result.sensitivity, pd.DataFrame)
    assert any("memory.dram.bandwidth_bytes_per_s" in path for path in result.sensitivity["path"])


def test_without_intervals():
    quick = accelsim.simulate(product(), "rapid-4core", intervals=False)
    assert quick.intervals == {}
    assert len(quick.sensitivity) == 0
    assert quick.to_document()["intervals"] == {}


def test_json_frame_and_repr(result, tmp_path):
    path = tmp_path / "result.json"
    text = result.to_json(path)
    assert path.read_text() == text + "\n"
    assert json.loads(text) == json.loads(result.to_json(str(path)))
    assert json.loads(text)["latency_s"] == result.latency_s
    frame = result.to_frame()
    assert len(frame) == 1
    assert frame.loc[0, "latency_s"] == result.latency_s
    assert frame.loc[0, "precision"] == "int4"
    assert says(repr(result), "Result", "lstm", "rapid-4core", "int4")


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_files_by_text_or_path(result, comparison, tmp_path, kind):
    result.to_html(kind(tmp_path / "result.html"))
    comparison.to_html(kind(tmp_path / "comparison.html"))
    result.to_perfetto(kind(tmp_path / "trace.json"))
    assert "<html" in (tmp_path / "result.html").read_text()
    assert "<html" in (tmp_path / "comparison.html").read_text()
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_files_in_a_folder_that_does_not_exist(result, tmp_path):
    for write in (result.to_html, result.to_perfetto, result.to_json):
        with pytest.raises(InputError, match="lies in a folder that does not exist"):
            write(tmp_path / "missing" / "file")
    assert list(tmp_path.iterdir()) == []


def test_check(result, monkeypatch):
    assert result.check() is True
    monkeypatch.setattr(Evaluation, "check", lambda _: ["time runs backwards"])
    with pytest.raises(CertificateError, match="time runs backwards") as caught:
        result.check()
    assert caught.value.broken == ["time runs backwards"]


def test_the_attributes_of_a_comparison(comparison):
    assert list(comparison.runs) == ["fp16", "int4"]
    assert all(isinstance(run, accelsim.Result) for run in comparison.runs.values())
    speedup = comparison.runs["fp16"].latency_s / comparison.runs["int4"].latency_s
    assert comparison.speedup == pytest.approx(speedup)
    assert comparison.speedups == {"fp16": 1.0, "int4": pytest.approx(speedup)}
    assert comparison.compression > 4
    assert set(comparison.intervals) == {"speedup", "compression"}
    low, high = comparison.intervals["speedup"]
    assert low <= comparison.speedup <= high
    assert isinstance(comparison.sensitivity, pd.DataFrame)
    assert isinstance(comparison.notes, tuple)
    assert comparison.check() is True
    assert list(comparison.to_frame()["precision"]) == ["fp16", "int4"]
    assert set(json.loads(comparison.to_json())["runs"]) == {"fp16", "int4"}
    assert says(repr(comparison), "Comparison", "fp16 -> int4", "speed-up")


def test_a_recipe_of_the_workload_takes_the_place_of_a_format():
    workload = accelsim.load_workload("rnnt-lm-fusion", audio_s=0.1)
    recipe = accelsim.simulate(workload, "rapid-4core", precision="int4", intervals=False)
    uniform = accelsim.simulate(workload, "rapid-4core", precision={"*": "int4"}, intervals=False)
    assert recipe.weight_bytes > uniform.weight_bytes
    assert any("recipe" in note for note in recipe.notes)


# Workloads


def test_the_attributes_of_a_workload():
    workload = accelsim.load_workload("resnet-18", batch=2)
    assert isinstance(workload, accelsim.Graph)
    assert workload.macs == 2 * accelsim.load_workload("resnet-18").macs
    assert workload.parameters == accelsim.load_workload("resnet-18").parameters == pytest.approx(11.69e6, rel=0.01)
    assert workload.weight_bytes == 4 * workload.parameters
    assert workload.peak_activation_bytes > 0
    assert len(workload.residuals) == 8


def test_workloads_and_architectures_by_name_path_and_object(tmp_path, result):
    workload = accelsim.load_workload("lstm", **SIZES)
    architecture = accelsim.load_architecture("rapid-4core")
    for place in (architecture, "rapid-4core", RAPID, str(RAPID), RAPID / "architecture.yaml"):
        again = accelsim.simulate(workload, place, precision="int4", intervals=False)
        assert again.latency_s == result.latency_s
    path = tmp_path / "net.yaml"
    path.write_text((bundled_folder("workloads") / "gemm.yaml").read_text())
    latencies = {
        accelsim.simulate(each, "rapid-4core", intervals=False).latency_s for each in ("gemm", path, str(path))
    }
    assert len(latencies) == 1


def test_precision_defaults_to_the_first_format_of_the_architecture():
    result = accelsim.simulate(product(), "rapid-4core", intervals=False)
    assert json.loads(result.to_json())["precision"] == "fp16"


@pytest.mark.parametrize("engine", ["auto", "maxplus", "des"])
@pytest.mark.parametrize("detail", ["op", "tile"])
def test_engines_and_details(result, engine, detail):
    workload = accelsim.load_workload("lstm", **SIZES)
    again = accelsim.simulate(workload, "rapid-4core", precision="int4", engine=engine, detail=detail, intervals=False)
    assert again.check()
    assert again.evaluation.timeline.engine == ("maxplus" if engine == "auto" else engine)
    assert detail == "tile" or again.latency_s == result.latency_s


def test_batches():
    one = accelsim.simulate("gemm", "rapid-4core", intervals=False)
    for way in ("gemm", accelsim.load_workload("gemm"), accelsim.load_workload("gemm", batch=8)):
        eight = accelsim.simulate(way, "rapid-4core", batch=8, intervals=False)
        assert eight.macs == 8 * one.macs
        assert eight.throughput_per_s == pytest.approx(8 / eight.latency_s)
    assert accelsim.compare("gemm", "rapid-4core", batch=8, intervals=False).runs["int4"].macs == 8 * one.macs


def test_a_batch_keeps_the_other_parameters():
    workload = accelsim.load_workload("lstm", **SIZES)
    result = accelsim.simulate(workload, "rapid-4core", batch=2, intervals=False)
    assert result.macs == 2 * workload.macs


def test_the_batch_of_a_graph_made_by_hand():
    assert accelsim.simulate(product(batch=2), "rapid-4core", batch=2, intervals=False).macs == 24
    with pytest.raises(InputError, match="batch: 3 cannot change: this graph was made for 2"):
        accelsim.simulate(product(batch=2), "rapid-4core", batch=3)


@pytest.mark.parametrize("batch", [0, -1, 1.5, math.nan, True, "2"])
@pytest.mark.parametrize("workload", ["gemm", accelsim.load_workload("gemm")])
def test_batches_that_are_none(workload, batch):
    with pytest.raises(InputError, match="batch"):
        accelsim.simulate(workload, "rapid-4core", batch=batch)


# Arguments


@pytest.mark.parametrize("call", [accelsim.simulate, accelsim.compare])
def test_unknown_options_suggest_the_nearest(call):
    for option, near in (({"engine": "maxpls"}, "'maxplus'"), ({"detail": "tiles"}, "'tile'")):
        with pytest.raises(UnknownNameError, match=f"Did you mean {near}"):
            call("gemm", "rapid-4core", **option)
    for names, near in ((("gem", "rapid-4core"), "'gemm'"), (("gemm", "rapid4"), "'rapid-4core'")):
        with pytest.raises(UnknownNameError, match=f"Did you mean {near}"):
            call(*names)


@pytest.mark.parametrize("precisions", ["int4", [{"*": "int4"}, "fp16"], [4, 8]])
def test_a_comparison_wants_names(precisions):
    with pytest.raises(InputError, match="must be a list of formats or recipes"):
        accelsim.compare("gemm", "rapid-4core", precisions=precisions)


@pytest.mark.parametrize("precisions", [[], ["int4"], ["int4", "int4"]])
def test_a_comparison_wants_two(precisions):
    with pytest.raises(InputError, match="needs two different precisions"):
        accelsim.compare("gemm", "rapid-4core", precisions=precisions)


@pytest.mark.parametrize(
    ("precision", "complaint"),
    [
        ("int44", "Did you mean 'int4'"),
        ({"gemm": "int4"}, "has no format for the other ops"),
        ({"gem": "int4", "*": "fp16"}, "Did you mean 'gemm'"),
        ({"gemm": "int44", "*": "fp16"}, "Did you mean 'int4'"),
        ("int8", "has no matrix unit"),
    ],
)
def test_precisions_that_are_none(precision, complaint):
    with pytest.raises(InputError, match=complaint):
        accelsim.simulate("gemm", "rapid-4core", precision=precision)


def test_every_error_on_purpose_is_an_accelsim_error():
    assert issubclass(accelsim.InputError, accelsim.AccelsimError)
    assert issubclass(accelsim.InfeasibleError, accelsim.AccelsimError)
    error = InputError("must be so", file="a.yaml", field="b.c", value=3, remedy="write 4")
    assert str(error) == "a.yaml: b.c: 3 must be so. Write 4."
    assert (error.file, error.field, error.value, error.rule, error.remedy) == (
        "a.yaml",
        "b.c",
        3,
        "must be so",
        "write 4",
    )


# Types


USER_SCRIPT = """
import accelsim

workload: accelsim.Graph = accelsim.load_workload("gemm", batch=2)
architecture: accelsim.Architecture = accelsim.load_architecture("rapid-4core").override({"cores": 2})
result = accelsim.simulate(workload, architecture, precision={"gemm": "int4", "*": "fp16"}, batch=1, detail="tile")
seconds: float = result.latency_s
factor: float | None = result.real_time_factor
low, high = result.intervals["latency_s"]
shares: dict[str, float] = result.utilization
slowest: str = result.bottleneck
frame = result.ops.sort_values("end_s")
text: str = result.to_json()
comparison: accelsim.Comparison = accelsim.compare(workload, architecture, precisions=["fp16", "int4"])
speedup: float = comparison.speedup
try:
    accelsim.from_onnx("model.onnx", shapes={"input": (1, 3, 224, 224)}, values={"sr": 16000})
except accelsim.InfeasibleError as error:
    demand: float = error.infeasible.demand
except accelsim.InputError as error:
    print(error.field, error.value, error.remedy)
"""


def test_a_typed_user_script(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT)
    out, err, code = mypy.run(["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path), str(script)])
    assert code == 0, out + err
    script.write_text(USER_SCRIPT + "wrong: str = result.latency_s\naccelsim.simulate(3, 4)\n")
    out, err, code = mypy.run(["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path), str(script)])
    assert code == 1
    assert out.count("error:") == 3, "a float is no text, and 3 and 4 are neither workload nor architecture"
