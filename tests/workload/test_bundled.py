"""The bundled workloads against the published counts, and relations that their counts must keep."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.documents import Constant, bundled_folder, read_yaml, validated
from accelsim.numerics import FORMATS
from accelsim.workload.bundled import GENERATORS
from accelsim.workload.bundled.parameters import parameter_rules
from accelsim.workload.graph import Graph, PrecisionRecipe
from accelsim.workload.load import assumed_parameters, list_workloads, load_workload
from accelsim.workload.ops import Elementwise, Host, Loop, MatMul, Recurrent, Reduce
from accelsim.workload.schema import WorkloadDocument

FILES = sorted(bundled_folder("workloads").glob("*.yaml"))
SMALL = {
    "conv": {"height": 8, "width": 9},
    "dblstm-hmm": {"audio_s": 0.1, "layers": 2},
    "gemm": {"m": 2, "n": 3, "k": 5},
    "lstm": {"steps": 3, "layers": 2, "directions": 2},
    "mlp": {"sizes": [4, 3, 2]},
    "resnet-18": {"image_size": 32, "classes": 10},
    "resnet-50": {"image_size": 32, "classes": 10},
    "rnnt": {"audio_s": 0.5, "beam_width": 2},
    "rnnt-lm-fusion": {"audio_s": 0.5, "external_lm_layers": 1},
    "rnnt-mlperf": {"audio_s": 0.5},
}


def recurrent_parameters(inputs: int, hidden: int, directions: int, biases: int) -> int:
    return directions * 4 * hidden * (inputs + hidden + biases)


def parameters_of(graph: Graph, prefix: str) -> int:
    return sum(t.elements for t in graph.all_tensors() if t.role == "weight" and t.name.startswith(prefix))


def macs_of(graph: Graph, prefix: str) -> int:
    return sum(op.macs * times for op, times in graph.walk() if op.name.startswith(prefix))


def weight_sweeps(graph: Graph) -> int:
    """Weight elements read by all executions of all matrix ops."""
    roles = {tensor.name: tensor for tensor in graph.all_tensors()}
    reads = 0
    for op, times in graph.walk():
        if isinstance(op, MatMul | Recurrent):
            reads += times * sum(roles[name].elements for name in op.inputs if roles[name].role == "weight")
    return reads


class TestEveryWorkload:
    def test_the_set(self):
        assert set(SMALL) <= {name for name, _ in list_workloads()}
        assert all(description for _, description in list_workloads())

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_document_survives_a_round_trip(self, path):
        document = validated(WorkloadDocument, read_yaml(path), file=path)
        again = validated(WorkloadDocument, document.model_dump(exclude_none=True), file="again")
        assert again == document

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_file_states_every_parameter_but_the_batch(self, path):
        document = validated(WorkloadDocument, read_yaml(path), file=path)
        rules = parameter_rules(GENERATORS[document.generator])
        assert set(document.parameters) | {"batch"} == set(rules)

    @pytest.mark.parametrize("name", sorted(SMALL))
    def test_loads_as_bundled_and_with_overrides(self, name):
        full, small = load_workload(name), load_workload(name, **SMALL[name], batch=2)
        assert full.name == small.name == name
        assert full.macs > small.macs > 0
        assert small.batch == 2
        assert set(full.parameters_used) == set(small.parameters_used)
        assert full.recipes == small.recipes

    @pytest.mark.parametrize("name", sorted(SMALL))
    def test_path_and_name_give_the_same_graph(self, name):
        assert load_workload(bundled_folder("workloads") / f"{name}.yaml") == load_workload(name)

    @pytest.mark.parametrize("name", sorted(SMALL))
    def test_every_weight_is_read(self, name):
        graph = load_workload(name)
        read = {tensor for op, _ in graph.walk() for tensor in op.inputs}
        assert {t.name for t in graph.all_tensors() if t.role == "weight"} <= read

    @pytest.mark.parametrize("name", ["rnnt-lm-fusion", "resnet-50"])
    def test_generation_is_quick(self, name):
        load_workload(name)
        best = min(_seconds(lambda: load_workload(name)) for _ in range(5))
        assert best < 0.010


def _seconds(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class TestTransducerCounts:
    def test_parameters_of_each_part(self):
        graph = load_workload("rnnt-lm-fusion")
        first, other = recurrent_parameters(340, 640, 2, 2), recurrent_parameters(1280, 640, 2, 2)
        assert parameters_of(graph, "encoder.0.") == first == 5_027_840  # 5.03 M
        assert parameters_of(graph, "encoder.3.") == other == 9_840_640  # 9.84 M
        assert parameters_of(graph, "encoder.") == 54_231_040  # 54.23 M
        assert parameters_of(graph, "prediction.") == 2_396_620  # 2.40 M
        assert parameters_of(graph, "joint.") == 536_622  # 0.54 M
        assert parameters_of(graph, "external_lm.") == 84_111_866  # 84.1 M
        assert parameters_of(graph, "source_lm.") == 2_431_994  # 2.43 M
        assert graph.parameters == 143_708_142

    def test_parameters_without_language_models(self):
        assert load_workload("rnnt").parameters == 57_164_282  # 57.16 M

    def test_two_layer_language_model(self):
        graph = load_workload("rnnt-lm-fusion", external_lm_layers=2)
        assert parameters_of(graph, "external_lm.") == pytest.approx(50.5e6, abs=0.05e6)

    def test_encoder_macs(self):
        graph = load_workload("rnnt-lm-fusion", audio_s=1)
        assert macs_of(graph, "encoder.") == 50 * 54_169_600  # 54.17 M a frame
        assert macs_of(graph, "encoder.") == pytest.approx(2.71e9, abs=0.005e9)

    def test_decoding_macs(self):
        steps, beam = 500 + 150, 16
        graph = load_workload(
            "rnnt-lm-fusion", search="alsd", prefix_cache=False, audio_s=10, symbols_per_s=15, beam_width=beam
        )
        lms = 84_111_866 - 460 - 46 - 8 * 2048 * 3 + 2_431_994 - 460 - 46 - 8 * 768
        prediction = 4 * 768 * (10 + 768) + 768 * 256
        joint = 500 * 1280 * 256 + steps * beam * 256 * 46
        assert graph.macs - macs_of(graph, "encoder.") == joint + steps * beam * (lms + prediction)

    def test_a_loop_costs_its_steps(self):
        graph = load_workload("rnnt-lm-fusion", search="alsd", audio_s=10, symbols_per_s=15, lm_steps_fraction=1)
        loop = next(op for op in graph.ops if isinstance(op, Loop))
        assert loop.steps == 650
        assert loop.macs == 650 * loop.body.macs

    @pytest.mark.parametrize(("frames", "symbols"), [(500, 60), (400, 37)])
    def test_mlperf(self, frames, symbols):
        share = symbols / (frames // 2 + symbols)
        graph = load_workload(
            "rnnt-mlperf", audio_s=10, frames_per_s=frames / 10, symbols_per_s=symbols / 10, prefix_cache=True,
            lm_steps_fraction=share,
        )  # fmt: skip
        assert graph.parameters == 45_323_037
        points = frames // 2 + symbols
        expected = frames * 13_565_952 + frames // 2 * 29_360_128 + symbols * 1_638_400 + points * 702_976
        assert graph.macs == expected

    def test_mlperf_lattice(self):
        graph = load_workload("rnnt-mlperf", audio_s=10, frames_per_s=50, symbols_per_s=6)
        joint_point = macs_of(graph, "joint.") // (250 + 60)
        lattice = macs_of(graph, "encoder.") + 60 * 1_638_400 + 250 * 60 * joint_point
        assert lattice == 24_765_952_000

    def test_mlperf_is_greedy_on_the_accelerator(self):
        ops = [op for op, _ in load_workload("rnnt-mlperf").walk()]
        assert not any(isinstance(op, Host) for op in ops)
        assert [op.function for op in ops if isinstance(op, Reduce)] == ["top_k"]


class TestRecipes:
    @staticmethod
    def compression(graph: Graph, recipe: PrecisionRecipe) -> float:
        """FP32 bytes over the recipe's bytes, with biases at 16 bit."""

        def format_of(op_name: str) -> str:
            return next((name for pattern, name in recipe.patterns if fnmatchcase(op_name, pattern)), recipe.default)

        used: dict[str, str] = {}
        weights = {t.name: t.elements for t in graph.all_tensors() if t.role == "weight"}
        for op, _ in graph.walk():
            for name in op.inputs:
                if name not in weights:
                    continue
                part = op.name
                if isinstance(op, Recurrent):
                    part += ".recurrent" if name.endswith("recurrent_weight") else ".input"
                used[name] = "fp16" if name.endswith(".bias") else format_of(part)
        assert used.keys() == weights.keys()
        return 4 * graph.parameters / sum(n * FORMATS[used[name]].bytes_per_element for name, n in weights.items())

    @pytest.mark.parametrize(
        ("recipe", "expected"), [("int4", 7.618), ("int4-encoder-lm", 7.521), ("int4-uniform", 7.979)]
    )
    def test_compression(self, recipe, expected):
        graph = load_workload("rnnt-lm-fusion")
        assert self.compression(graph, graph.recipes[recipe]) == pytest.approx(expected, abs=0.0005)

    def test_nominal_recipe_rounds_to_the_published_compression(self):
        graph = load_workload("rnnt-lm-fusion")
        assert round(self.compression(graph, graph.recipes["int4"]), 1) == 7.6

    def test_alternatives_are_mutual(self):
        for name, _ in list_workloads():
            recipes = load_workload(name).recipes
            for recipe in recipes.values():
                assert all(recipe.name in recipes[other].alternatives for other in recipe.alternatives)
                assert recipe.source


class TestVision:
    @pytest.mark.parametrize(
        ("name", "parameters", "macs"),
        [("resnet-18", 11_689_512, 1_814_073_344), ("resnet-50", 25_557_032, 4_089_184_256)],
    )
    def test_counts(self, name, parameters, macs):
        graph = load_workload(name)
        assert (graph.parameters, graph.macs) == (parameters, macs)

    @pytest.mark.parametrize(("name", "blocks", "norms"), [("resnet-18", 8, 20), ("resnet-50", 16, 53)])
    def test_structure(self, name, blocks, norms):
        functions = [op.function for op in load_workload(name).ops if isinstance(op, Elementwise)]
        assert functions.count("add") == blocks
        assert functions.count("folded_batch_norm") == norms

    def test_output_sizes(self):
        graph = load_workload("resnet-50", batch=3)
        assert graph.tensors["layer1.0.relu.output"].shape == (3, 256, 56, 56)
        assert graph.tensors["layer4.2.relu.output"].shape == (3, 2048, 7, 7)
        assert graph.tensors[graph.outputs[0]].shape == (3, 1000)


class TestOthers:
    @pytest.mark.parametrize(("layers", "parameters"), [(6, 43_130_368), (5, 36_834_816), (4, 30_539_264)])
    def test_dblstm_hmm(self, layers, parameters):
        assert load_workload("dblstm-hmm", layers=layers).parameters == parameters

    def test_lstm_stack_as_in_the_canonical_table(self):
        # The 3 x 250 model without its output layer of 500 -> 62.
        graph = load_workload("lstm", steps=100, input_size=123, hidden_size=250, directions=2, layers=3)
        assert graph.parameters == 3_789_062 - (500 * 62 + 62)
        assert graph.macs == 377_700_000 - 100 * 500 * 62

    def test_gemm_mlp_and_conv(self):
        assert load_workload("gemm", m=2, n=3, k=5, batch=7).macs == 7 * 2 * 3 * 5
        assert load_workload("mlp", sizes=[4, 3, 2], batch=5).macs == 5 * (4 * 3 + 3 * 2)
        assert load_workload("mlp", sizes=[4, 3, 2]).parameters == 4 * 3 + 3 + 3 * 2 + 2
        depthwise = load_workload("conv", groups=64, stride=2)
        assert depthwise.macs == 28 * 28 * 64 * 9
        assert depthwise.parameters == 64 * 9


class TestParameters:
    def test_constants_keep_their_owners(self):
        used = load_workload("rnnt-lm-fusion").parameters_used
        assert isinstance(used["encoder_layers"], Constant)
        assert not used["encoder_layers"].assumed
        assert used["audio_s"] == 10
        assert used["search"] == "tsd"
        assert used["batch"] == 1

    def test_override_takes_ownership(self):
        graph = load_workload("rnnt-lm-fusion", beam_width=8)
        assert graph.parameters_used["beam_width"] == Constant(value=8, source="override")
        assert "beam_width" in assumed_parameters(load_workload("rnnt-lm-fusion"))
        assert "beam_width" not in assumed_parameters(graph)

    @pytest.mark.parametrize("name", sorted(SMALL))
    def test_both_ends_of_every_assumed_range_load(self, name):
        for parameter, constant in assumed_parameters(load_workload(name)).items():
            for end in (constant.low, constant.high):
                assert load_workload(name, **{parameter: end}).parameters_used[parameter].value == end

    def test_derived_figures(self):
        def figures(**parameters):
            chosen = {"search": "alsd", "audio_s": 10, "symbols_per_s": 15, "lm_steps_fraction": 1, **parameters}
            used = load_workload("rnnt-lm-fusion", **chosen).parameters_used
            return used["decode_steps_per_s"], used["lm_sweeps_per_s"]

        assert figures() == (65, 65)
        assert figures(lm_steps_fraction=0.5) == (65, 32.5)
        assert figures(batch_prediction=False, beam_width=16, uncached_fraction=0.25) == (65, 65 * 4)
        assert figures(batch=4) == (65 / 4, 65 / 4)
        assert "lm_sweeps_per_s" not in load_workload("rnnt").parameters_used

    def test_audio_of_a_batch(self):
        assert load_workload("rnnt-lm-fusion", audio_s=10, batch=4).audio_s == 40


class TestDecoding:
    LADDER = (
        {"prefix_cache": False, "batch_prediction": False, "batch_joint": False},
        {"prefix_cache": True, "batch_prediction": False, "batch_joint": False},
        {"prefix_cache": True, "batch_prediction": True, "batch_joint": False},
        {"prefix_cache": True, "batch_prediction": True, "batch_joint": True},
    )

    @pytest.mark.parametrize("name", ["rnnt", "rnnt-lm-fusion"])
    @pytest.mark.parametrize("search", ["alsd", "tsd"])
    @pytest.mark.parametrize("beam_width", [2, 8, 16])
    def test_each_rung_of_the_ladder_reduces_work(self, name, search, beam_width):
        same = {"search": search, "beam_width": beam_width, "uncached_fraction": 0.25, "lm_steps_fraction": 1}
        graphs = [load_workload(name, **same, **rung) for rung in self.LADDER]
        macs, sweeps = [graph.macs for graph in graphs], [weight_sweeps(graph) for graph in graphs]
        assert macs[0] > macs[1] == macs[2] == macs[3]
        assert sweeps[0] > sweeps[1] >= sweeps[2] > sweeps[3]
        if beam_width > 4:  # else a quarter of the beam is one hypothesis, and there is nothing to batch
            assert sweeps[1] > sweeps[2]
        assert len({graph.parameters for graph in graphs}) == 1

    def test_steps(self):
        assert load_workload("rnnt", search="tsd", expansions_per_frame=3).parameters_used["decode_steps_per_s"] == 150
        assert load_workload("rnnt", search="alsd", symbols_per_s=12).parameters_used["decode_steps_per_s"] == 62

    def test_steps_without_networks_run_only_the_joint_network(self):
        graph = load_workload("rnnt-lm-fusion", search="alsd", audio_s=10, symbols_per_s=15, lm_steps_fraction=0.4)
        first, second = (op for op in graph.ops if isinstance(op, Loop))
        assert (first.steps, second.steps) == (260, 390)
        matrix = {op.name for op in second.body.ops if isinstance(op, MatMul | Recurrent)}
        assert matrix == {"joint.output"}

    def test_search_on_host_or_accelerator(self):
        graph = load_workload("rnnt-lm-fusion", beam_width=16, lm_steps_fraction=1, host_seconds_per_step=50e-6)
        hosts = [op for op, _ in graph.walk() if isinstance(op, Host)]
        assert [(op.name, op.elements, op.seconds) for op in hosts] == [("search.beam", 16 * 46, 50e-6)]
        ops = [op for op, _ in load_workload("rnnt-lm-fusion", host_seconds_per_step=0).walk()]
        assert not any(isinstance(op, Host) for op in ops)
        assert "top_k" in [op.function for op in ops if isinstance(op, Reduce)]

    @settings(max_examples=25, deadline=None)
    @given(
        search=st.sampled_from(["alsd", "tsd"]),
        beam_width=st.integers(1, 6),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
        uncached_fraction=st.floats(0.01, 1),
        lm_steps_fraction=st.floats(0.01, 1),
        host_seconds_per_step=st.sampled_from([0.0, 1e-4]),
        batch=st.integers(1, 3),
    )
    def test_every_combination_is_a_consistent_graph(self, flags, **parameters):
        prefix_cache, batch_prediction, batch_joint = flags
        graph = load_workload(
            "rnnt-lm-fusion", audio_s=0.4, prefix_cache=prefix_cache, batch_prediction=batch_prediction,
            batch_joint=batch_joint, **parameters,
        )  # fmt: skip
        assert graph.parameters == 143_708_142
        for loop in (op for op in graph.ops if isinstance(op, Loop)):
            for made, read in loop.carried:
                assert loop.body.tensors[made].shape == loop.body.tensors[read].shape
            carried = {read for _, read in loop.carried}
            states = {tensor.name for tensor in loop.body.tensors.values() if tensor.role == "state"}
            assert states <= carried


class TestLinear:
    @settings(max_examples=15, deadline=None)
    @given(name=st.sampled_from(sorted(SMALL)), batch=st.integers(1, 5))
    def test_macs_in_batch(self, name, batch):
        one = load_workload(name, **SMALL[name])
        assert load_workload(name, **SMALL[name], batch=batch).macs == batch * one.macs

    @settings(max_examples=10, deadline=None)
    @given(steps=st.integers(1, 50), factor=st.integers(1, 5), directions=st.integers(1, 2))
    def test_lstm_macs_in_steps(self, steps, factor, directions):
        one = load_workload("lstm", steps=steps, directions=directions)
        assert load_workload("lstm", steps=steps * factor, directions=directions).macs == factor * one.macs

    @settings(max_examples=10, deadline=None)
    @given(name=st.sampled_from(["rnnt", "rnnt-lm-fusion", "dblstm-hmm"]), frames=st.integers(1, 400))
    def test_twice_the_audio_is_twice_the_encoder(self, name, frames):
        per_s = 100 if name == "dblstm-hmm" else 50
        prefix = "layer." if name == "dblstm-hmm" else "encoder."
        once = macs_of(load_workload(name, audio_s=frames / per_s), prefix)
        assert once > 0
        assert macs_of(load_workload(name, audio_s=2 * frames / per_s), prefix) == 2 * once
