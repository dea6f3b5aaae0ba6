"""The target `numerics`: exact on the bundled cases, and able to find what is not."""

import json
import shutil

import numpy as np
import pytest

from accelsim.documents import bundled_folder
from accelsim.study.validate import validate

FOLDER = bundled_folder("validation") / "numerics"


@pytest.fixture(scope="module")
def bundled():
    return validate(["numerics"]).targets["numerics"]


def test_every_case_is_identical(bundled):
    wrong = [(name, row.name, row.failed_reason) for name, family in bundled.families.items() for row in family.rows
             if not row.exact]  # fmt: skip
    assert wrong == []
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    assert {case["name"] for case in manifest["cases"]} <= set(bundled.families)


def test_silicon_records_are_identical_finite_and_special(bundled):
    rows = bundled.families["tensor_core_numerics"].rows
    assert len(rows) == 17
    for row in rows:
        assert {each.metric for each in row.comparisons} == {"finite_identical", "special_identical"}
    assert sum(int(each.measured) for row in rows for each in row.comparisons) > 350_000
    assert len(bundled.families["gemm_numerics"].rows) == 12


def copied(tmp_path, name, change_about=None, change_arrays=None):
    about = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as stored:
        arrays = dict(stored)
    (change_about or (lambda _: None))(about)
    (change_arrays or (lambda _: None))(arrays)
    (tmp_path / f"{name}.json").write_text(json.dumps(about))
    np.savez(tmp_path / f"{name}.npz", **arrays)
    return validate(["numerics"], tmp_path).targets["numerics"].families[name].rows[0]


@pytest.mark.parametrize("name", [
    "mxfp4_e2m1_b32_floor_rne", "nvfp4_b16_two_level", "fp4_ue5m3_b16", "int4_sym_group32_fp32scale", "cast_fp16_rne",
    "tcmodel_hopper_fp16_k16_f32", "disagree_mxfp4_e2m1_b32",
])  # fmt: skip
def test_one_wrong_bit_is_found(tmp_path, name):
    def flip(arrays):
        key = "d" if "d" in arrays else "y" if "y" in arrays else "y__torchao_floor"
        flat = arrays[key].reshape(-1)
        flat[np.flatnonzero(np.isfinite(flat.view(np.float32)) & (flat & 0x7FFFFFFF != 0))[0]] ^= 1 << 23

    row = copied(tmp_path, name, change_arrays=flip)
    assert not row.exact
    note = next(each for each in row.comparisons if not each.exact)
    assert note.predicted == note.measured - 1
    assert "first at" in note.note


@pytest.mark.parametrize(
    ("name", "field", "value", "reason"),
    [
        ("mxfp4_e2m1_b32_floor_rne", "kind", "mx", "kind of case"),
        ("mxfp4_e2m1_b32_floor_rne", "scale_rule", "flor", "floor"),
        ("mxfp4_e2m1_b32_floor_rne", "element", "fp4", "element"),
        ("cast_fp16_rne", "rounding", "somehow", "rounding"),
        ("cast_fp16_rne", "overflow", "wrap", "overflow"),
    ],
)
def test_cases_that_cannot_be_evaluated_fail_with_a_reason(tmp_path, name, field, value, reason):
    row = copied(tmp_path, name, change_about=lambda about: about.update({field: value}))
    assert reason in row.failed_reason
    assert "defect" not in row.failed_reason


def test_another_rule_gives_another_result(tmp_path):
    """The settings of a case matter: with `ceil` the results of `floor` are not reproduced."""
    assert not copied(tmp_path, "mxfp4_e2m1_b32_floor_rne", lambda about: about.update(scale_rule="ceil")).exact


def test_a_case_without_its_arrays(tmp_path):
    shutil.copy(FOLDER / "cast_fp16_rne.json", tmp_path)
    row = validate(["numerics"], tmp_path).targets["numerics"].families["cast_fp16_rne"].rows[0]
    assert "arrays" in row.failed_reason
