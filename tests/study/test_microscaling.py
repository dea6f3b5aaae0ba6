"""The microscaling study: theory against published figures and the emulator, and the anomaly that it must show."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import InputError
from accelsim.numerics.formats import UE4M3, UE5M3
from accelsim.report.microscaling import study_html, study_json, study_text
from accelsim.study.block_theory import crossover_sigma, exact_scale_error, relative_error
from accelsim.study.microscaling import DISTRIBUTIONS, monte_carlo_error, run_study, weight_errors

BLOCKS = (4, 8, 16, 32, 64, 128, 256)


@pytest.mark.parametrize(
    ("error", "published"),
    [
        (exact_scale_error, (0.00471, 0.00701, 0.00886, 0.01022, 0.01117, 0.01185, 0.01238)),
        (lambda n: relative_error(UE5M3, n, 0.02), (0.00514, 0.00730, 0.00905, 0.01034, 0.01125, 0.01190, 0.01240)),
        (lambda n: relative_error(UE4M3, n, 0.05), (0.00585, 0.00758, 0.00914, 0.01036, 0.01124, 0.01189, 0.01239)),
        (lambda n: relative_error(UE4M3, n, 0.02), (0.01125, 0.01047, 0.01061, 0.01107, 0.01159, 0.01205, 0.01249)),
        (lambda n: relative_error(UE4M3, n, 0.005), (0.13945, 0.05698, 0.01990, 0.01446, 0.01369, 0.01335, 0.01315)),
    ],
)
def test_theory_to_the_last_published_digit(error, published):
    """An independent evaluation of the equations of arXiv 2601.19026, five digits."""
    assert [round(error(block), 5) for block in BLOCKS] == list(published)


@pytest.mark.parametrize(("block", "sigma"), [(4, 0.0239), (8, 0.0193), (16, 0.0160), (32, 0.0129), (64, 0.0099)])
def test_crossovers_of_ue4m3(block, sigma):
    assert crossover_sigma(UE4M3, block) == pytest.approx(sigma, rel=0.03)
    assert crossover_sigma(UE5M3, block) is None


@pytest.mark.parametrize("format", ["fp4_ue4m3", "fp4_ue5m3"])
@pytest.mark.parametrize("block", [4, 16, 64])
@pytest.mark.parametrize("sigma", [0.005, 0.02, 0.05])
def test_emulator_agrees_with_theory(format, block, sigma):
    scale = UE4M3 if format == "fp4_ue4m3" else UE5M3
    measured = monte_carlo_error(format, block, sigma, samples=1 << 19)
    assert measured == pytest.approx(relative_error(scale, block, sigma), rel=0.1)


@pytest.mark.parametrize(("block", "low", "high"), [(4, 0.0230, 0.0248), (8, 0.0184, 0.0202), (16, 0.0150, 0.0170)])
def test_emulator_crosses_where_theory_says(block, low, high):
    def gain(sigma):
        errors = [monte_carlo_error("fp4_ue4m3", n, sigma, samples=1 << 20) for n in (block, 2 * block)]
        return errors[1] - errors[0]

    assert gain(low) < 0 < gain(high)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_anomaly(distribution):
    """Narrow numbers: with UE4M3 scales smaller blocks are worse, with UE5M3 better; so too with a tensor scale."""

    def errors(format):
        return [monte_carlo_error(format, n, 0.006, distribution=distribution, samples=1 << 17) for n in (4, 8, 16)]

    assert np.all(np.diff(errors("fp4_ue4m3")) < 0)
    for format in ("fp4_ue5m3", "fp4_ue4m3_s", "fp4_ue5m3_s"):
        assert np.all(np.diff(errors(format)) > 0)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_distributions_have_mean_zero_and_deviation_one(distribution):
    x = DISTRIBUTIONS[distribution](np.random.default_rng(0), 1 << 20)
    assert abs(x.mean()) < 0.005
    assert x.std() == pytest.approx(1, abs=0.005)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32) * 0.01
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])], [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.fixture(scope="module")
def study(model):
    return run_study(
        weights=model, formats=("fp4_ue4m3", "fp4_ue5m3", "mxfp4"), blocks=(8, 16, 32), sigmas=(0.005, 0.05),
        distributions=("normal", "laplace"), samples=1 << 13, workload="gemm",
    )  # fmt: skip


def test_a_study_has_errors_weights_and_costs(study):
    assert len(study.errors) == 2 * 3 * 3 * 2
    assert {each.tensor for each in study.weights} == {"w"}
    by_choice = {(each.format, each.block): each for each in study.costs}
    assert by_choice["mxfp4", 32].bits_per_element == 4.25
    assert by_choice["fp4_ue4m3", 16].bits_per_element == 4.5
    assert by_choice["fp4_ue4m3", 8].scale_bytes_per_1024 == 128
    run = {key: (each.unit, each.latency_s) for key, each in by_choice.items()}
    assert run["mxfp4", 32][0] == "mxfp4"
    assert run["fp4_ue4m3", 16][0] == "nvfp4"
    assert run["fp4_ue4m3", 8] == (None, None)  # no such unit: not guessed
    assert by_choice["fp4_ue4m3", 16].latency_s >= by_choice["mxfp4", 32].latency_s > 0  # more scale bytes to move


def test_reports(study):
    data = json.loads(study_json(study))
    assert data["crossovers"][0] == {"format": "fp4_ue4m3", "block": 4, "sigma": pytest.approx(0.0238, abs=0.0002)}
    text = study_text(study)
    assert all(word in text for word in ("fp4_ue5m3", "crossover", "mx-npu", "weights of"))
    page = study_html(study)
    assert "Crossover sigma" in page
    assert "http://" not in page.split("<script")[0]


def test_bad_requests(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nothing")
    for call in (
        lambda: run_study(weights=bad), lambda: run_study(formats=("fp16",)),
        lambda: monte_carlo_error("mxfp4", 32, 0.0),
        lambda: monte_carlo_error("mxfp4", 32, 1.0, distribution="norml"), lambda: relative_error(UE4M3, 0, 1.0),
    ):  # fmt: skip
        with pytest.raises(InputError):
            call()
    assert weight_errors({"small": np.ones((4, 4), np.float32)}) == ()
