"""Every kind of bad input is refused with a message that names file, field and value."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from accelsim.documents import bundled_folder
from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.load import load_workload, parse_workload_argument

MLP = {
    "description": "a test",
    "source": "this test",
    "generator": "mlp",
    "parameters": {"sizes": [4, 3, 2]},
    "recipes": {"mixed": {"default": "int4", "source": "this test", "patterns": {"layer.0": "fp16"}}},
}
RNNT = yaml.safe_load((bundled_folder("workloads") / "rnnt.yaml").read_text())
RNNT["parameters"]["beam_width"] = {"value": 16, "low": 4, "high": 32, "source": "assumed", "why": "this test"}


def written(tmp_path, document, name="mine.yaml"):
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def changed(document, path, value):
    """A deep copy of ``document`` with ``value`` at the dotted ``path``; without a value, the field is removed."""
    copy = yaml.safe_load(yaml.safe_dump(document))
    *parents, last = path.split("/")
    here = copy
    for part in parents:
        here = here[part]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return copy


def refused(*arguments, **keywords):
    with pytest.raises(InputError) as caught:
        load_workload(*arguments, **keywords)
    return caught.value


class TestNames:
    def test_unknown_workload_suggests_the_nearest(self):
        error = refused("rnnt-lm-fusoin")
        assert isinstance(error, UnknownNameError)
        assert "'rnnt-lm-fusoin'" in str(error)
        assert "Did you mean 'rnnt-lm-fusion'" in str(error)

    @pytest.mark.parametrize("name", ["", ".", "..", "../workloads/gemm", "gemm/", "a\0b", "GEMM ", "zzzz", "ünïcode"])
    def test_odd_names(self, name):
        assert isinstance(refused(name), UnknownNameError)

    @pytest.mark.parametrize("name", ["absent.yaml", "a\0b.yaml", "x" * 5000 + ".yaml", "absent.onnx"])
    def test_absent_files(self, name):
        assert name[:10] in str(refused(name)).replace("\\x00", "\0")

    def test_a_folder(self, tmp_path):
        folder = tmp_path / "folder.yaml"
        folder.mkdir()
        assert "cannot be read" in str(refused(folder))

    def test_another_kind_of_file(self, tmp_path):
        path = tmp_path / "model.h5"
        path.write_text("x")
        assert "Name it .yaml, .onnx, " in str(refused(path))

    def test_unknown_parameter(self):
        error = refused("rnnt-lm-fusion", beamwidth=4)
        message = "workload rnnt-lm-fusion: 'beamwidth' is not a known parameter. Did you mean 'beam_width'?"
        assert str(error).startswith(message)

    def test_parameter_named_like_an_argument(self):
        assert isinstance(refused("gemm", name_or_path="x"), UnknownNameError)

    def test_unknown_choice(self):
        assert "search: 'alds' is not a known choice. Did you mean 'alsd'" in str(refused("rnnt", search="alds"))


class TestValues:
    @pytest.mark.parametrize(
        ("name", "parameter", "value", "rule"),
        [
            ("gemm", "m", 0, "0 must be 1 or more"),
            ("gemm", "m", -4, "-4 must be 1 or more"),
            ("gemm", "m", 2.5, "2.5 must be a whole number"),
            ("gemm", "m", True, "True must be a number"),
            ("gemm", "m", None, "must be a number"),
            ("gemm", "m", "12", "'12' must be a number"),
            ("gemm", "m", [3], "[3] must be a number"),
            ("gemm", "m", float("nan"), "nan must be a finite number"),
            ("gemm", "m", float("-inf"), "-inf must be a finite number"),
            ("gemm", "m", 10**10, "10000000000 must be at most 1e+09"),
            ("gemm", "m", 10**400, "is too large a number"),
            ("gemm", "m", np.float32("nan"), "nan must be a finite number"),
            ("gemm", "m", np.array([1, 2]), "must be a number"),
            ("gemm", "batch", 0, "0 must be 1 or more"),
            ("rnnt", "audio_s", 0, "0 must be above 0"),
            ("rnnt", "audio_s", -1.5, "-1.5 must be above 0"),
            ("rnnt", "audio_s", 1e9, "1000000000.0 must be at most 1e+06"),
            ("rnnt", "audio_s", 0.001, "0.001 holds no whole frame at 50 frames a second"),
            ("rnnt", "uncached_fraction", 1.5, "1.5 must be at most 1"),
            ("rnnt", "uncached_fraction", 0, "0 must be above 0"),
            ("rnnt", "host_seconds_per_step", -1e-9, "-1e-09 must be 0 or more"),
            ("rnnt", "prefix_cache", 1, "1 must be true or false"),
            ("rnnt", "prefix_cache", "yes", "'yes' must be true or false"),
            ("rnnt", "search", 3, "3 must be text"),
            ("mlp", "sizes", 3, "3 must be a list"),
            ("mlp", "sizes", "3,4", "'3,4' must be a list"),
            ("mlp", "sizes", [], "must have 1 to 1000 entries, not 0"),
            ("mlp", "sizes", [1] * 1001, "must have 1 to 1000 entries, not 1001"),
            ("mlp", "sizes", [7], "[7] must have an input and an output size"),
            ("lstm", "directions", 3, "3 must be 1 or 2"),
            ("lstm", "layers", 1001, "1001 must be at most 1000"),
            ("conv", "groups", 3, "must be a multiple of groups = 3"),
            ("conv", "kernel", 59, "with padding 1 is smaller than the window of 59"),
            ("resnet-50", "image_size", 31, "31 must be 32 or more"),
        ],
    )
    def test_bad_value(self, name, parameter, value, rule):
        error = refused(name, **{parameter: value})
        assert rule in str(error)
        assert str(error.file) == f"workload {name}"
        assert parameter in (error.field or "") or parameter in ("groups", "kernel")

    def test_number_that_python_does_not_print(self):
        assert "is too large a number" in str(refused("gemm", m=10**5000))

    def test_list_entry_is_named(self):
        assert refused("mlp", sizes=[3, -1, 2]).field == "sizes[1]"

    def test_absurd_product_of_sizes(self):
        error = refused("gemm", m=10**8, k=10**8)
        assert "more than 1e+12 elements" in str(error)
        assert "tensor input" in str(error)
        assert "(100000000, 100000000)" in str(error)

    @pytest.mark.parametrize(("text", "remedy"), [("10 s", "Write 10"), ("20 ms", "Write 0.02"), ("3 MHz", "alone")])
    def test_units(self, text, remedy):
        assert remedy in str(refused("rnnt", audio_s=text))

    @pytest.mark.parametrize("value", [np.int64(3), np.float64(3.0), np.uint8(3), 3.0])
    def test_whole_numbers_of_other_types_are_taken(self, value):
        graph = load_workload("gemm", m=value)
        assert graph.tensors["input"].shape == (3, 1024)
        assert type(graph.parameters_used["m"]) is int

    @pytest.mark.parametrize("field", ["shapes", "values"])
    def test_model_arguments_for_a_generator(self, field):
        assert refused("gemm", **{field: {"x": [1]}}).field == field


class TestFiles:
    def test_a_good_one(self, tmp_path):
        graph = load_workload(written(tmp_path, MLP), batch=3)
        assert graph.name == "mine"
        assert graph.macs == 3 * (12 + 6)
        assert graph.recipes["mixed"].patterns == (("layer.0", "fp16"),)

    def test_a_changed_file_is_read_again(self, tmp_path):
        path = written(tmp_path, MLP)
        assert load_workload(path).macs == 18
        path.write_text(yaml.safe_dump(changed(MLP, "parameters/sizes", [40, 30, 20])))
        assert load_workload(path).macs == 40 * 30 + 30 * 20

    @pytest.mark.parametrize(
        ("document", "path", "value", "field", "rule"),
        [
            (MLP, "generator", "mpl", "generator", "'mpl' is not a known generator. Did you mean 'mlp'"),
            (MLP, "generator", ..., "", "must have either a generator or a model"),
            (MLP, "model", "x.onnx", "", "must have either a generator or a model"),
            (MLP, "shapes", {"x": [1]}, "", "has a generator, which takes no shapes"),
            (MLP, "description", ..., "description", "is missing"),
            (MLP, "description", 3, "description", "3 must be a valid string"),
            (MLP, "description", "", "description", "must have at least 1 character"),
            (MLP, "sources", "x", "sources", "is not a known field. Did you mean 'source'"),
            (MLP, "parameters", [1], "parameters", "must be a mapping of fields"),
            (MLP, "parameters", {}, "parameters.sizes", "is missing"),
            (MLP, "parameters/size", 3, "parameters.size", "'size' is not a known parameter. Did you mean 'sizes'"),
            (MLP, "parameters/sizes", None, "parameters.sizes", "must be a number, text, true or false"),
            (MLP, "parameters/sizes", [4, "x"], "parameters.sizes.1", "'x' must be a number"),
            (MLP, "parameters/sizes", [4, 0], "parameters.sizes[1]", "0 must be 1 or more"),
            (MLP, "recipes/mixed/default", "integer4", "recipes.mixed.default", "'integer4' is not a known format"),
            (MLP, "recipes/mixed/patterns", {"*": "fp61"}, "recipes.mixed.patterns.*", "'fp61' is not a known format"),
            (MLP, "recipes/mixed/patterns", {"lair.0": "fp16"}, "recipes.mixed.patterns", "'lair.0' is not a known op"),
            (MLP, "recipes/mixed/alternatives", ["mixd"], "recipes.mixed.alternatives", "Did you mean 'mixed'"),
            (MLP, "recipes/mixed/source", ..., "recipes.mixed.source", "is missing"),
            (MLP, "recipes/mixed/pattern", {}, "recipes.mixed.pattern", "Did you mean 'patterns'"),
            (RNNT, "parameters/beam_width/value", "16 m", "parameters.beam_width.value", "must be a plain number"),
            (RNNT, "parameters/beam_width/value", True, "parameters.beam_width.value", "True must be a number"),
            (RNNT, "parameters/beam_width/value", "16", "parameters.beam_width.value", "'16' must be a number"),
            (RNNT, "parameters/beam_width/value", 16.5, "parameters.beam_width.value", "16.5 must be a whole number"),
            (RNNT, "parameters/beam_width/low", 0, "parameters.beam_width.low", "0.0 must be 1 or more"),
            (RNNT, "parameters/beam_width/high", 8, "parameters.beam_width", "value outside of its range [4, 8]"),
            (
                RNNT,
                "parameters/beam_width/why",
                ...,
                "parameters.beam_width",
                "is assumed without a range and a reason",
            ),
            (RNNT, "parameters/beam_width/low", ..., "parameters.beam_width", "has only one end of a range"),
            (RNNT, "parameters/beam_width/source", ..., "parameters.beam_width.source", "is missing"),
            (RNNT, "parameters/beam_width/src", "x", "parameters.beam_width.src", "Did you mean 'source'"),
            (RNNT, "parameters/beam_width/zzz", 1, "parameters.beam_width.zzz", "Known fields: high, low, source"),
            (RNNT, "parameters/beam_width", ..., "parameters.beam_width", "is missing"),
            (RNNT, "parameters/audio_s", float("nan"), "parameters.audio_s", "nan must be a finite number"),
            (RNNT, "parameters/search", {"value": 1, "source": "x"}, "parameters.search.value", "must be text"),
        ],
    )
    def test_bad_field(self, tmp_path, document, path, value, field, rule):
        file = written(tmp_path, changed(document, path, value))
        error = refused(file)
        assert str(error).startswith(f"{file}: {field}" if field else f"{file}: ")
        assert rule.lower() in str(error).lower()

    def test_all_of_the_errors_are_counted(self, tmp_path):
        document = changed(changed(MLP, "source", ...), "description", ...)
        assert "(and 1 more)" in str(refused(written(tmp_path, document)))

    def test_model_file_is_looked_for_beside_the_workload_file(self, tmp_path):
        document = {"description": "d", "source": "s", "model": "absent.onnx", "shapes": {"x": [1, 3]}}
        assert str(tmp_path / "absent.onnx") in str(refused(written(tmp_path, document)))

    def test_sizes_of_a_model(self, tmp_path):
        document = {"description": "d", "source": "s", "model": "absent.onnx", "shapes": {"x": [1, 0]}}
        error = refused(written(tmp_path, document))
        assert error.field == "shapes.x.1"
        assert "must be greater than or equal to 1" in str(error)


class TestModels:
    @pytest.mark.parametrize(
        ("keywords", "field"),
        [
            ({"shapes": 3}, "shapes"),
            ({"shapes": {"x": "1x3"}}, "shapes.x"),
            ({"shapes": {"x": [1, -3]}}, "shapes.x"),
            ({"values": [1]}, "values"),
            ({"batch": 0}, "batch"),
            ({"batch": "two"}, "batch"),
        ],
    )
    def test_bad_arguments(self, keywords, field):
        error = refused("model.onnx", **keywords)
        assert error.field == field
        assert error.file == "workload model.onnx"

    def test_only_a_batch_is_known(self):
        assert "Did you mean 'shapes'" in str(refused("model.onnx", shape={"x": [1]}))


class TestArgument:
    @pytest.mark.parametrize(
        ("text", "name", "parameters"),
        [
            ("gemm", "gemm", {}),
            ("rnnt:audio_s=3,beam_width=4", "rnnt", {"audio_s": 3, "beam_width": 4}),
            ("rnnt: audio_s = 1.5e-3, prefix_cache = true", "rnnt", {"audio_s": 1.5e-3, "prefix_cache": True}),
            ("rnnt:search=tsd", "rnnt", {"search": "tsd"}),
            ("mlp:sizes=[1,2,3],batch=2", "mlp", {"sizes": [1, 2, 3], "batch": 2}),
            ("/a/b:c/m.onnx:batch=2", "/a/b:c/m.onnx", {"batch": 2}),
            ("C:\\nets\\m.onnx", "C:\\nets\\m.onnx", {}),
            ("m.onnx:shapes={x: [1,3], y: [2]},batch=2", "m.onnx", {"shapes": {"x": [1, 3], "y": [2]}, "batch": 2}),
        ],
    )
    def test_good(self, text, name, parameters):
        assert parse_workload_argument(text) == (name, parameters)

    @pytest.mark.parametrize(
        "text",
        ["", ":", "rnnt:", "rnnt:audio_s", "rnnt:=3", "rnnt:a=", "rnnt:a=1,", "rnnt:a=1,,b=2", "rnnt:a=1,a=2",
         "rnnt:a=[1", "rnnt:a=*x", "rnnt:a=1,b c=2", "rnnt:a=!!python/object:os.system x"],
    )  # fmt: skip
    def test_bad(self, text):
        with pytest.raises(InputError) as caught:
            parse_workload_argument(text)
        assert re.search(r"argument|rnnt", str(caught.value))
