"""Bundled workloads through `accelsim.emulate`, on drawn weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.engine.functional.graph_program import graph_program
from accelsim.engine.functional.inputs import drawn_inputs
from accelsim.engine.functional.program import Program
from accelsim.engine.functional.run import run_values
from accelsim.engine.functional.scaling import Scalings
from accelsim.engine.functional.units import units_of
from accelsim.engine.functional.weights import drawn_weights
from accelsim.errors import InputError, UnsupportedError

SMALL: list[tuple[str, dict[str, Any]]] = [
    ("bert-base", {"layers": 1, "tokens": 16, "vocabulary": 64}),
    ("conformer", {"size": "s", "audio_s": 0.5}),
    ("conv", {"height": 9, "width": 9}),
    ("dblstm-hmm", {"audio_s": 0.05, "layers": 2, "hidden_size": 32, "outputs": 40}),
    ("gemm", {"m": 4}),
    ("gpt2-small", {"layers": 1, "tokens": 8, "vocabulary": 64}),
    ("gpt2-small", {"layers": 1, "phase": "decode", "new_tokens": 2, "context": 8, "vocabulary": 64}),
    ("llama2-7b", {"layers": 1, "tokens": 8, "vocabulary": 64, "width": 128, "heads": 4, "kv_heads": 2,
                   "feed_forward_size": 128}),
    ("llama2-7b", {"layers": 1, "phase": "decode", "new_tokens": 2, "context": 8, "vocabulary": 64, "width": 128,
                   "heads": 4, "kv_heads": 2, "feed_forward_size": 128}),
    ("lstm", {"steps": 4, "directions": 2, "layers": 2, "hidden_size": 32}),
    ("mlp", {}),
    ("mobilenet-v2", {"image_size": 32}),
    ("resnet-18", {"image_size": 32}),
    ("resnet-20", {}),
    ("alexnet", {"image_size": 64, "classes": 10}),
    ("convnext-t", {"image_size": 32}),
    ("densenet-121", {"image_size": 32}),
    ("efficientnet-b0", {"image_size": 32}),
    ("mobilenet-v3-large", {"image_size": 32}),
    ("shufflenet-v2", {"image_size": 32}),
    ("squeezenet", {"image_size": 64}),
    ("rnnt", {"audio_s": 0.1, "encoder_layers": 1, "encoder_hidden_size": 32, "prediction_hidden_size": 32}),
    ("rnnt-lm-fusion", {"audio_s": 0.1, "encoder_layers": 1, "encoder_hidden_size": 32, "prediction_hidden_size": 32,
                        "external_lm_hidden_size": 32, "source_lm_hidden_size": 32}),
    ("rnnt-mlperf", {"audio_s": 0.2, "encoder_hidden_size": 32, "prediction_hidden_size": 32}),
    ("swin-t", {"image_size": 224}),
    ("vgg-16", {"image_size": 64, "classes": 10}),
    ("vit-b-16", {"layers": 1, "image_size": 32}),
    ("whisper-tiny", {"frames": 16}),
    ("whisper-tiny", {"part": "decoder", "frames": 16, "new_tokens": 2, "context": 4, "vocabulary": 64}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), SMALL)
def test_every_op_has_an_error(name: str, parameters: dict[str, Any]) -> None:
    found = accelsim.emulate(accelsim.load_workload(name, **parameters), "rapid-4core", precision="fp16")
    rows = {row.op: row for row in found.op_errors}
    assert rows.keys() == {item.op.name for item in found.evaluation.mapping.walk()}
    assert all(row.sqnr_db > 20 for row in rows.values()), min(rows.values(), key=lambda row: row.sqnr_db)
    for output, value in found.reference.items():
        assert value.shape == found.evaluation.workload.tensors[output].shape
        assert np.isfinite(value).all()


@pytest.mark.parametrize("name", ["lstm", "resnet-20", "mlp"])
def test_more_bits_are_nearer(name: str) -> None:
    sqnr = [next(iter(accelsim.emulate(name, "systolic-128x128", precision=p).sqnr_db.values()))
            for p in ("fp16", "int8", "int4")]  # fmt: skip
    assert sqnr == sorted(sqnr, reverse=True)


TINY = {"layers": 2, "vocabulary": 50, "width": 32, "heads": 4}


def in_float64(graph: Any, seed: int) -> dict[str, Any]:
    """Drawn weights in float64."""
    return {name: value.astype(np.float64) for name, value in drawn_weights(graph, seed).items()}


def reference(graph: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    return dict(accelsim.emulate(graph, "tpu-v4i", inputs, precision="bf16").reference)


def test_attention_is_its_formula() -> None:
    """One layer of BERT written out in float64, head by head."""
    graph = accelsim.load_workload("bert-base", layers=1, tokens=6, vocabulary=20, width=12, heads=3,
                                   feed_forward_size=8)  # fmt: skip
    w = in_float64(graph, 0)
    inputs = {"tokens": np.arange(6).reshape(1, 6), "segments": np.zeros((1, 6), int)}
    here = w["embedding.weight"][np.arange(6)] + w["segment.weight"][0] + w["positions.weight"][:6]

    def norm(x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    def linear(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    here = norm(here)
    q, k, v = (linear(f"layer.0.attention.{each}", here) for each in ("query", "key", "value"))
    mixed = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = np.exp(q[:, part] @ k[:, part].T / 2)
        mixed.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
    here = norm(here + linear("layer.0.attention.output", np.hstack(mixed)))
    from scipy.special import erf

    wide = linear("layer.0.feed_forward.up", here)
    here = norm(here + linear("layer.0.feed_forward.down", wide * (1 + erf(wide / np.sqrt(2))) / 2))
    got = reference(graph, inputs)
    np.testing.assert_allclose(got["layer.0.feed_forward.norm.output"][0], here, atol=1e-5)
    np.testing.assert_allclose(got["pooler.tanh.output"][0], np.tanh(linear("pooler", here[0])), atol=1e-5)


def softmax(x: Any) -> Any:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def values_of(name: str, layer: str, **parameters: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A graph, drawn weights in float64, and what its FP32 run gives for tensors that begin with ``layer``."""
    graph = accelsim.load_workload(name, **parameters)
    program = graph_program(graph, 0)
    kept = tuple(step.outputs[0] for step in program.steps if step.outputs and step.outputs[0].startswith(layer))
    arch = accelsim.load_architecture("tpu-v4i")
    mapping = accelsim.simulate(graph, arch, precision="bf16").evaluation.mapping
    units = units_of(arch.description, Scalings(), 0)
    run = run_values(replace(program, outputs=kept), mapping, units, "fp32", drawn_inputs(program, 0))
    return graph, in_float64(graph, 0), dict(run.reference)


def test_relative_positions_are_their_formula() -> None:
    """Dai et al. 2019, equation of the relative attention, pair by pair: (q + u) k_j + (q + v) r_(i - j)."""
    _, w, found = values_of("conformer", "encoder.0.attention", size="s", audio_s=0.3)
    name, heads = "encoder.0.attention", 4
    here = found[f"{name}.norm.output"][0].astype(np.float64)
    rows, width = here.shape
    size = width // heads
    q, k = (here @ w[f"{name}.{each}.weight"] + w[f"{name}.{each}.bias"] for each in ("query", "key"))
    waves = w["encoder.positions"] @ w[f"{name}.position.weight"]
    scores = found[f"{name}.add_position.output"][0]
    for head, i, j in np.ndindex(heads, rows, rows):
        part = slice(head * size, (head + 1) * size)
        content = (q[i] + w[f"{name}.content_bias"])[part] @ k[j, part] / np.sqrt(size)
        position = (q[i] + w[f"{name}.position_bias"])[part] @ waves[rows - 1 - (i - j), part]
        assert scores[head, i, j] == pytest.approx(content + position, rel=1e-4, abs=1e-4)
    distance = np.arange(rows - 1, -rows, -1)
    np.testing.assert_allclose(w["encoder.positions"][:, 0], np.sin(distance), atol=1e-6)


def test_shifted_windows_are_their_definition() -> None:
    """Pixels of one window of the grid that is moved by three pixels see each other, and no others do."""
    _, w, found = values_of("swin-t", "stage2.1.attention", image_size=224)
    name, side, heads = "stage2.1.attention", 14, 12
    here = found[f"{name}.norm.output"][0].astype(np.float64)
    width = here.shape[1]
    size = width // heads
    q, k, v = np.split(here @ w[f"{name}.qkv.weight"] + w[f"{name}.qkv.bias"], 3, axis=1)
    down, right = np.divmod(np.arange(side * side), side)
    cell = [(down + 4) // 7, (right + 4) // 7]  # the first row and column of windows have 3 pixels
    mixed = np.zeros_like(q)
    for i in range(side * side):
        seen = np.flatnonzero((cell[0] == cell[0][i]) & (cell[1] == cell[1][i]))
        table = w[f"{name}.positions.weight"][(down[i] - down[seen] + 6) * 13 + right[i] - right[seen] + 6]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = k[seen, part] @ q[i, part] / np.sqrt(size) + table[:, head]
            mixed[i, part] = softmax(scores) @ v[seen, part]
    expected = mixed @ w[f"{name}.output.weight"] + w[f"{name}.output.bias"]
    np.testing.assert_allclose(found[f"{name}.unshift.output"][0], expected, atol=2e-4)


@pytest.mark.parametrize("name", ["gpt2-small", "llama2-7b"])
def test_tokens_do_not_see_what_comes_after_them(name: str) -> None:
    sizes = {**TINY, "kv_heads": 2} if name == "llama2-7b" else TINY
    prompt = np.array([[3, 7, 1, 9, 4]])
    logits = [reference(accelsim.load_workload(name, tokens=rows, **sizes), {"tokens": prompt[:, :rows]})["head.output"]
              for rows in (4, 5)]  # fmt: skip
    np.testing.assert_allclose(logits[0], logits[1][:, :4], atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2-small", "llama2-7b"])
def test_decoding_with_a_cache_of_one_row_is_prefill_of_one_token(name: str) -> None:
    sizes = {**TINY, "kv_heads": 2} if name == "llama2-7b" else TINY
    prefill = accelsim.load_workload(name, tokens=1, **sizes)
    decode = accelsim.load_workload(name, phase="decode", new_tokens=3, context=1, **sizes)
    caches = {each: np.ones(decode.tensors[each].shape) for each in decode.inputs if "cache" in each}
    tokens = reference(decode, {"token": [7], **caches})["decode.tokens"]
    here = 7
    for step in range(3):
        here = int(reference(prefill, {"tokens": [[here]]})["head.output"].argmax())
        assert tokens[step, 0] == here


def test_joints_of_a_beam_in_one_call_or_one_by_one() -> None:
    """Calls a hypothesis give what one call for all gives, up to the order in which FP32 adds."""
    sizes = {"audio_s": 0.1, "encoder_layers": 1, "encoder_hidden_size": 16, "prediction_hidden_size": 16}
    made = []
    for whole in (True, False):
        graph = accelsim.load_workload("rnnt", batch_joint=whole, batch_prediction=whole, **sizes)
        made.append(accelsim.emulate(graph, "tpu-v4i", precision="bf16").reference["decode.symbols"])
    np.testing.assert_array_equal(*made)


def test_the_seed_says_the_weights() -> None:
    graph = accelsim.load_workload("mlp")
    first, again, other = (drawn_weights(graph, seed) for seed in (1, 1, 2))
    assert first.keys() == {t.name for t in graph.all_tensors() if t.role == "weight"}
    np.testing.assert_array_equal(first["layer.0.weight"], again["layer.0.weight"])
    assert (first["layer.0.weight"] != other["layer.0.weight"]).any()
    notes = accelsim.emulate(graph, "edge-npu", seed=2).notes
    assert any("weights were drawn (seed 2)" in note for note in notes)


def test_glorot_bounds() -> None:
    graph = accelsim.load_workload("lstm", hidden_size=256, input_size=128)
    weights = drawn_weights(graph, 0)
    for name, fans in (("layer.0.weight", 128 + 256), ("layer.0.recurrent_weight", 512)):
        largest = np.abs(weights[name]).max()
        assert 0.99 * np.sqrt(6 / fans) < largest <= np.sqrt(6 / fans) * (1 + 1e-6)


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "parameters", "says"),
        [
            ("mixtral-8x7b", {"layers": 1, "width": 64, "heads": 4, "kv_heads": 4, "feed_forward_size": 64,
                              "vocabulary": 50, "tokens": 4}, r"router\.top_k.*'top_k'.*does not state"),
            ("llama2-7b", {}, r"1e\+09 parameters.*layers=2"),
        ],
    )  # fmt: skip
    def test_by_name(self, name: str, parameters: dict[str, Any], says: str) -> None:
        with pytest.raises(UnsupportedError, match=says):
            graph_program(accelsim.load_workload(name, **parameters), 0)

    def test_tokens_outside_of_the_table(self) -> None:
        graph = accelsim.load_workload("bert-base", layers=1, tokens=2, vocabulary=20)
        assert isinstance(graph_program(graph, 0), Program)
        with pytest.raises(InputError, match=r"inputs\.tokens.*0 to 19"):
            accelsim.emulate(graph, "edge-npu", {"tokens": [[3, 20]], "segments": [[0, 0]]})

    def test_a_rewritten_one(self) -> None:
        with pytest.raises(UnsupportedError, match=r"is rewritten|no values"):
            accelsim.emulate(accelsim.load_workload("resnet-20").rewritten("fuse"), "edge-npu")
