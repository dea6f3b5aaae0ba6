"""The zoo of networks: counts against the published ones, and an evaluation of each."""

import csv
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.bundled.experts import Experts
from accelsim.workload.load import assumed_parameters, list_workloads, load_workload
from accelsim.workload.ops import Conv, Elementwise, Loop, MatMul, Move
from accelsim.workload.precision import assign_formats, resolve_precision
from accelsim.workload.vector_work import element_work

REFERENCE = Path(__file__).parent.parent / "reference" / "canonical_workloads.csv"
ROWS = list(csv.DictReader(REFERENCE.open()))

CIFAR = {f"cifar_resnet{depth} (option A shortcuts)": f"resnet-{depth}" for depth in (20, 32, 44, 56, 110)}
WHISPER = {f"whisper_{size}_encoder": f"whisper-{size.removesuffix('_v3')}"
           for size in ("tiny", "base", "small", "medium", "large_v3")}  # fmt: skip
NAMES = {
    "vgg16": "vgg-16", "resnet34": "resnet-34", "mobilenet_v2": "mobilenet-v2", "vit_b_16": "vit-b-16",
    "bert_base": "bert-base", "bert_large": "bert-large", "gpt2": "gpt2-small", "gpt2_medium": "gpt2-medium",
    "llama2_7b": "llama2-7b", "llama3_8b": "llama3-8b", "mixtral_8x7b": "mixtral-8x7b", **CIFAR, **WHISPER,
}  # fmt: skip
INPUTS = {
    "1x3x224x224": {"image_size": 224, "classes": 1000},
    "1x3x32x32": {"image_size": 32, "classes": 10},
    "1x128 tokens": {"tokens": 128},
    "1x384 tokens": {"tokens": 384},
    "1x512 tokens": {"tokens": 512},
    "prefill 1x1024, logits for every position": {"phase": "prefill", "tokens": 1024, "logits": "all"},
    "prefill 1x2048, logits for every position": {"phase": "prefill", "tokens": 2048, "logits": "all"},
    "decode 1 token, context 2048": {"phase": "decode", "context": 2048, "new_tokens": 1},
    "decode 1 token, context 2048, top-2 of 8": {"phase": "decode", "context": 2048, "new_tokens": 1},
    "1x80x3000 (30 s)": {"part": "encoder", "mel_bins": 80, "frames": 3000},
    "1x128x3000 (30 s)": {"part": "encoder", "mel_bins": 128, "frames": 3000},
}

LANGUAGE = ["gpt2-small", "gpt2-medium", "llama2-7b", "llama3-8b", "mixtral-8x7b"]
PREFILL = {"tokens": 24}
DECODE = {"phase": "decode", "context": 40, "new_tokens": 2}
TWO_LAYERS = {"layers": 2}  # the whole of Mixtral does not fit the board
SHORT = [
    *((name, {}) for name in CIFAR.values()),
    *((name, {}) for name in ("resnet-34", "mobilenet-v2", "vgg-16", "vit-b-16")),
    *((name, {"tokens": 32}) for name in ("bert-base", "bert-large")),
    *((name, PREFILL) for name in LANGUAGE[:4]),
    *((name, DECODE) for name in LANGUAGE[:4]),
    ("mixtral-8x7b", PREFILL | TWO_LAYERS),
    ("mixtral-8x7b", DECODE | TWO_LAYERS),
    *((name, {"frames": 100}) for name in WHISPER.values()),
    *((name, {"part": "decoder", "frames": 100, "context": 8, "new_tokens": 2}) for name in WHISPER.values()),
    *(("conformer", {"size": size, "audio_s": 0.5}) for size in "sml"),
]
IDS = [f"{name}-{parameters.get('phase') or parameters.get('part') or parameters.get('size') or ''}".rstrip("-")
       for name, parameters in SHORT]  # fmt: skip
SMALL = [
    ("resnet-20", {"image_size": 8}),
    ("resnet-34", {"image_size": 32}),
    ("mobilenet-v2", {"image_size": 32}),
    ("vgg-16", {"image_size": 32}),
    ("vit-b-16", {"image_size": 32, "layers": 2}),
    ("bert-base", {"tokens": 5, "layers": 2}),
    *((name, {"tokens": 5, "layers": 2}) for name in LANGUAGE),
    *((name, {**DECODE, "layers": 2}) for name in LANGUAGE),
    ("whisper-tiny", {"frames": 20}),
    ("whisper-tiny", {"part": "decoder", "frames": 20, "new_tokens": 3}),
]


@pytest.fixture(scope="module")
def rapid():
    return load_architecture("rapid-4core")


def canonical_id(row):
    return f"{row['workload'].split()[0]}-{row['input'].split(',')[0].replace(' ', '-')}"


class TestCanonical:
    @pytest.mark.parametrize("row", ROWS, ids=canonical_id)
    def test_parameters_and_macs(self, row):
        name, parameters = NAMES[row["workload"]], INPUTS[row["input"]]
        graph = load_workload(name, **parameters)
        stored = graph.parameters
        if name.startswith("whisper"):
            stored += load_workload(name, part="decoder").parameters
        assert (stored, graph.macs) == (int(row["params"]), int(row["macs"]))

    def test_every_row_is_a_workload(self):
        assert {row["workload"] for row in ROWS} == set(NAMES)

    @pytest.mark.parametrize(
        ("size", "published", "within"), [("s", 10.3, 0.01), ("m", 30.7, 0.06), ("l", 118.8, 0.02)]
    )
    def test_conformer_is_close_to_its_paper(self, size, published, within):
        """The paper leaves the subsampling, the joint network and the vocabulary open."""
        assert load_workload("conformer", size=size).parameters / 1e6 == pytest.approx(published, rel=within)


class TestEveryNetwork:
    @pytest.mark.parametrize(("name", "parameters"), SHORT, ids=IDS)
    def test_evaluates_with_all_certificates(self, name, parameters, rapid):
        result = evaluate(load_workload(name, **parameters), rapid, "int4")
        assert result.check() == []

    @pytest.mark.parametrize(("name", "parameters"), SHORT, ids=IDS)
    def test_structure(self, name, parameters):
        graph = load_workload(name, **parameters)
        read = {tensor for op, _ in graph.walk() for tensor in op.inputs}
        assert {tensor.name for tensor in graph.all_tensors() if tensor.role == "weight"} <= read
        for op, _ in graph.walk():
            element_work(op)  # refuses a function without a known cost
        for loop in (op for op in graph.ops if isinstance(op, Loop)):
            carried = {before for _, before in loop.carried}
            assert {tensor.name for tensor in loop.body.tensors.values() if tensor.role == "state"} <= carried

    @settings(max_examples=40, deadline=None)
    @given(case=st.sampled_from(SMALL), batch=st.integers(2, 6))
    def test_macs_are_linear_in_the_batch(self, case, batch):
        name, parameters = case
        one, several = (load_workload(name, **parameters, batch=each) for each in (1, batch))
        assert several.macs == batch * one.macs
        assert several.parameters == one.parameters

    def test_a_batch_shares_the_positions_of_a_conformer(self):
        macs = [load_workload("conformer", size="s", audio_s=1, batch=batch).macs for batch in (1, 2, 3)]
        rows, width, layers = 24, 144, 16
        assert macs[1] - macs[0] == macs[2] - macs[1]
        assert 2 * macs[0] - macs[1] == layers * (2 * rows - 1) * width**2

    @pytest.mark.parametrize("name", ["whisper-base", "conformer", "mixtral-8x7b"])
    def test_both_ends_of_every_assumed_range_load(self, name):
        for parameter, constant in assumed_parameters(load_workload(name)).items():
            for end in (constant.low, constant.high):
                assert load_workload(name, **{parameter: end}).parameters_used[parameter].value == end

    @pytest.mark.parametrize("name", ["llama3-8b", "mixtral-8x7b", "whisper-large"])
    def test_generation_is_quick(self, name):
        load_workload(name)
        assert min(_seconds(lambda: load_workload(name)) for _ in range(5)) < 0.050

    def test_descriptions_are_short_lines(self):
        new = {*NAMES.values(), "conformer"}
        assert all(len(text) <= 100 and "\n" not in text for name, text in list_workloads() if name in new)


def _seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class TestVision:
    @pytest.mark.parametrize(
        ("name", "skips", "identity"),
        [
            ("resnet-20", 9, 9),
            ("resnet-110", 54, 54),
            ("resnet-34", 16, 13),
            ("mobilenet-v2", 10, 10),
            ("vgg-16", 0, 0),
        ],
    )
    def test_skip_connections(self, name, skips, identity):
        residuals = load_workload(name).residuals
        assert (len(residuals), sum(each.identity for each in residuals)) == (skips, identity)

    def test_shortcuts_of_option_a_move_and_have_no_parameters(self):
        graph = load_workload("resnet-20")
        moves = [op for op in graph.ops if isinstance(op, Move)]
        assert [op.function for op in moves] == ["slice", "pad"] * 2
        assert [op.elements for op in moves] == [16 * 16 * 16, 32 * 16 * 16, 32 * 8 * 8, 64 * 8 * 8]
        assert not any("shortcut" in tensor.name for tensor in graph.all_tensors() if tensor.role == "weight")

    def test_depthwise_convolutions_are_grouped(self):
        depthwise = [op for op in load_workload("mobilenet-v2").ops if isinstance(op, Conv) and op.groups > 1]
        assert len(depthwise) == 17
        assert all(op.groups == op.in_channels == op.out_channels for op in depthwise)

    def test_vgg_on_other_images_is_pooled_to_seven(self):
        assert load_workload("vgg-16", image_size=448).parameters == load_workload("vgg-16").parameters


class TestAttention:
    @pytest.mark.parametrize(
        ("name", "parameters", "groups", "m"),
        [
            ("bert-base", {"tokens": 16, "batch": 3}, 3 * 12, 16),
            ("llama3-8b", {"tokens": 16, "batch": 3}, 3 * 8, 4 * 16),
            ("llama3-8b", {**DECODE, "batch": 3}, 3 * 8, 4),
            ("llama2-7b", DECODE, 32, 1),
        ],
    )
    def test_a_group_for_each_key_head(self, name, parameters, groups, m):
        graph = load_workload(name, **parameters, layers=1)
        body = graph.ops[0].body if parameters.get("phase") == "decode" else graph
        products = [op for op in body.ops if op.name.endswith((".scores", ".mix"))]
        assert len(products) == 2
        for op in products:
            assert isinstance(op, MatMul)
            assert (op.groups, op.m) == (groups, m)
            assert all(body.tensors[name].role != "weight" for name in op.inputs)

    def test_only_prefill_of_causal_models_masks(self):
        def masks(name, **parameters):
            functions = [
                op.function for op, _ in load_workload(name, **parameters).walk() if isinstance(op, Elementwise)
            ]
            return functions.count("where")

        assert masks("llama3-8b", **PREFILL, layers=3) == 3
        assert masks("llama3-8b", **DECODE) == masks("bert-base") == masks("whisper-tiny") == 0

    def test_rotation_costs_three_operations_an_element(self):
        graph = load_workload("llama3-8b", tokens=2, layers=1)
        work = {op.name: element_work(op) for op in graph.ops if op.name.endswith("_rotation")}
        assert work == {
            "layer.0.attention.query_rotation": (3 * 2 * 4096, 0),
            "layer.0.attention.key_rotation": (3 * 2 * 1024, 0),
        }

    def test_logits_of_the_last_position_only(self):
        every, last = (load_workload("llama3-8b", tokens=16, logits=which) for which in ("all", "last"))
        assert every.macs - last.macs == 15 * 4096 * 128256
        assert last.tensors["head.output"].shape == (1, 1, 128256)


def cache_names(graph):
    return [name for name in (*graph.inputs, *graph.outputs) if name.endswith("_cache")]


class TestCaches:
    def test_bytes_by_hand(self):
        """Llama 3 8B: 32 layers x keys and values x 8 heads x 128 elements x 2048 rows, 2 bytes each: 256 MiB."""
        for parameters in ({"phase": "decode", "context": 2048}, {"phase": "prefill", "tokens": 2048}):
            graph = load_workload("llama3-8b", **parameters)
            graph = assign_formats(graph, resolve_precision(graph, "fp16"), "fp16")
            caches = [graph.tensors[name] for name in cache_names(graph)]
            assert {tensor.role for tensor in caches} == {"state"}
            assert len(caches) == 64
            assert sum(tensor.bytes for tensor in caches) == 32 * 2 * 8 * 128 * 2048 * 2 == 256 * 2**20

    def test_prefill_makes_what_decode_reads(self):
        prefill = load_workload("llama3-8b", tokens=40)
        decode = load_workload("llama3-8b", **DECODE)
        made = {name: prefill.tensors[name].shape for name in cache_names(prefill)}
        assert made == {name: decode.tensors[name].shape for name in cache_names(decode)}

    def test_a_step_writes_one_row_in_place(self):
        body = load_workload("llama3-8b", **DECODE, layers=2, batch=3).ops[0].body
        writes = [op for op in body.ops if op.name.endswith(".write")]
        assert [op.elements for op in writes] == [3 * 8 * 128] * 4
        assert all(op.view for op in body.ops if op.name.endswith("_cache.update"))

    def test_caches_that_do_not_fit_are_read_in_every_step(self, rapid):
        """DRAM traffic: the weights but the embedding, and at least what of the caches no scratchpad can hold."""
        steps, context, layers = 3, 8192, 4
        graph = load_workload("llama3-8b", phase="decode", context=context, new_tokens=steps, layers=layers)
        weights = (graph.parameters - 128256 * 4096) * 0.5
        caches = layers * 2 * 8 * 128 * context * 0.5
        scratchpads = rapid.description.scratchpad.capacity_bytes.value * 4
        moved = evaluate(graph, rapid, "int4").dram_bytes / steps
        assert weights + caches - scratchpads < moved < 1.01 * (weights + caches)

    @pytest.mark.parametrize("name", LANGUAGE)
    def test_macs_are_linear_in_new_tokens(self, name):
        one, many = (load_workload(name, phase="decode", context=64, new_tokens=count).macs for count in (1, 9))
        assert many == 9 * one

    def test_whisper_projects_the_encoder_output_once(self):
        macs = {n: load_workload("whisper-tiny", part="decoder", new_tokens=n, context=8).macs for n in (1, 2, 9)}
        step = macs[2] - macs[1]
        assert macs[9] - macs[1] == 8 * step
        assert macs[1] - step == 4 * 2 * 1500 * 384**2

    @pytest.mark.parametrize("name", ["gpt2-medium", "llama3-8b"])
    def test_time_is_linear_in_new_tokens(self, name, rapid):
        parameters = {"phase": "decode", "context": 40, "layers": 2}
        few, many = (
            evaluate(load_workload(name, **parameters, new_tokens=n), rapid, "int4").latency_s for n in (4, 12)
        )
        assert many == pytest.approx(3 * few, rel=0.02)

    def test_longer_contexts_take_longer(self, rapid):
        contexts = [load_workload("llama3-8b", phase="decode", layers=4, context=n) for n in (256, 2048, 8192)]
        times = [evaluate(graph, rapid, "int4").latency_s for graph in contexts]
        assert times == sorted(times)


class TestExperts:
    def test_active_parameters(self):
        """12.88 G at batch 1: all but the experts that the token does not visit."""
        graph = load_workload("mixtral-8x7b", phase="decode")
        select = next(op for op, _ in graph.walk() if op.name == "layer.0.feed_forward.select")
        idle = sum(tensor.elements for tensor in graph.all_tensors() if ".expert." in tensor.name
                   and tensor.role == "weight" and tensor.name not in self.multiplied(graph))  # fmt: skip
        assert graph.parameters - idle == 12_879_925_248
        assert len(select.inputs) == 1 + 6 * 3
        assert select.view

    @staticmethod
    def multiplied(graph):
        return {name for op, _ in graph.walk() if isinstance(op, MatMul) for name in op.inputs}

    @pytest.mark.parametrize(("batch", "read"), [(1, 2), (2, 4), (4, 5), (8, 7), (64, 8)])
    def test_distinct_experts(self, batch, read):
        graph = load_workload("mixtral-8x7b", phase="decode", layers=1, batch=batch)
        gates = [op for op, _ in graph.walk() if op.name.endswith(".gate")]
        assert len(gates) == graph.parameters_used["experts_read"] == read
        assert sum(op.m for op in gates) == 2 * batch
        assert max(op.m for op in gates) - min(op.m for op in gates) <= 1
        assert graph.parameters == load_workload("mixtral-8x7b", layers=1).parameters

    def test_routing_alike_reads_fewer_for_the_same_macs(self):
        alike, apart = (load_workload("mixtral-8x7b", phase="decode", layers=1, batch=16, routing_spread=spread)
                        for spread in (0.01, 1))  # fmt: skip
        assert alike.parameters_used["experts_read"] == 2
        assert apart.parameters_used["experts_read"] == 8
        assert alike.macs == apart.macs
        assert alike.parameters == apart.parameters

    def test_idle_experts_are_stored_at_their_precision_and_not_read(self, rapid):
        one, all_of_them = (load_workload("mixtral-8x7b", phase="decode", layers=1, batch=batch) for batch in (1, 16))
        few, many = evaluate(one, rapid, "int4"), evaluate(all_of_them, rapid, "int4")
        expert = 3 * 4096 * 14336 * 0.5
        assert few.weight_bytes == many.weight_bytes
        assert 6 * expert <= many.dram_bytes - few.dram_bytes <= 6.5 * expert

    @given(
        count=st.integers(1, 64), chosen=st.integers(1, 64), rows=st.integers(1, 500), spread=st.floats(0.001, 1),
    )  # fmt: skip
    def test_bounds(self, count, chosen, rows, spread):
        chosen = min(count, chosen)
        experts = Experts(count, chosen, 1, spread)
        assert chosen <= experts.read(rows) <= min(count, chosen * rows)
        assert experts.read(rows) <= experts.read(rows + 1)


class TestRecipes:
    def test_fp8_linear(self, rapid):
        graph = load_workload("llama3-8b", layers=2, tokens=8)
        choice = resolve_precision(graph, "fp8-linear")
        assert choice.of("layer.1.feed_forward.down") == "fp8_e4m3"
        assert {choice.of(name) for name in ("head", "embedding", "layer.1.attention.scores")} == {"fp16"}
        assert evaluate(graph, rapid, "fp8-linear").check() == []

    def test_first_and_last_layers(self):
        choice = resolve_precision(load_workload("resnet-20"), "int4-first-last-fp16")
        assert [choice.of(name) for name in ("conv1", "layer1.0.conv1", "fc")] == ["fp16", "int4", "fp16"]


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("resnet-20", {"depth": 21}, "depth"),
        ("resnet-20", {"depth": 2}, "depth"),
        ("resnet-20", {"image_size": 3}, "image_size"),
        ("mobilenet-v2", {"image_size": 16}, "image_size"),
        ("vgg-16", {"image_size": 31}, "image_size"),
        ("vit-b-16", {"image_size": 225}, "patch_size"),
        ("bert-base", {"tokens": 513}, "tokens"),
        ("bert-base", {"heads": 7}, "heads"),
        ("gpt2-small", {"tokens": 1025}, "tokens"),
        ("llama3-8b", {"phase": "decode", "context": 8193}, "context"),
        ("llama3-8b", {"kv_heads": 3}, "kv_heads"),
        ("mixtral-8x7b", {"experts_per_token": 9}, "experts_per_token"),
        ("mixtral-8x7b", {"phase": "train"}, "phase"),
        ("whisper-tiny", {"frames": 3001}, "frames"),
        ("whisper-tiny", {"part": "decoder", "context": 449}, "context"),
        ("conformer", {"audio_s": 0.05}, "audio_s"),
        ("conformer", {"features": 6}, "features"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(name, parameters, field):
    with pytest.raises(InputError, match=field):
        load_workload(name, **parameters)
