"""Whatever stands in a file, reading it gives data or one `InputError` that says where and why."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.documents import Constant, parse_yaml, read_yaml, validated
from accelsim.errors import InputError
from accelsim.workload.load import load_workload, parse_workload_argument
from accelsim.workload.schema import WorkloadDocument

MEGABYTE = 1 << 20


def refused(call, *arguments, **keywords):
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    str(caught.value).encode()  # it can be printed
    return caught.value


def only_input_errors(call, *arguments, **keywords):
    message = ""
    with contextlib.suppress(InputError):
        try:
            call(*arguments, **keywords)
        except InputError as error:
            message = str(error)
            raise
    message.encode()
    assert len(message) < 2000


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.just(10**400), st.just("1.6 GHz")
)
structures = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# Mostly right, so that what is wrong is met deep inside.
constants = st.fixed_dictionaries({}, optional=dict.fromkeys(Constant.model_fields, scalars))
parameters = st.dictionaries(st.sampled_from(["m", "n", "k", "batch", "sizes", "x"]), scalars | constants | structures)
recipes = st.dictionaries(
    st.text(max_size=4),
    st.fixed_dictionaries(
        {},
        optional={
            "default": st.sampled_from(["int4", "fp16", "int5"]) | scalars,
            "source": scalars,
            "alternatives": structures,
            "patterns": st.dictionaries(st.sampled_from(["gemm", "*", "[", ""]), scalars, max_size=2),
        },
    )
    | structures,
    max_size=2,
)
workload_documents = st.fixed_dictionaries(
    {
        "description": st.just("d") | scalars,
        "source": st.just("s") | scalars,
        "generator": st.sampled_from(["gemm", "gemm", "mlp", "nothing"]) | scalars,
    },
    optional={
        "parameters": st.just({"m": 2, "n": 3, "k": 4}) | parameters | structures,
        "recipes": recipes | structures,
        "shapes": structures,
        "extra": scalars,
    },
)
yaml_like = st.text(alphabet="ab:1-[]{},#&*!|>'\"%@`?~ \n\t.\\ü\ufeff\x85\u2028", max_size=60)


class TestFuzz:
    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes(self, tmp_path_factory, content):
        path = tmp_path_factory.getbasetemp() / "bytes.yaml"
        path.write_bytes(content)
        only_input_errors(read_yaml, path)

    @settings(max_examples=700, deadline=None)
    @given(st.text(max_size=80) | yaml_like)
    def test_any_text(self, text):
        only_input_errors(parse_yaml, text)

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(["str", "int", "float", "bool", "null", "seq", "map", "set", "omap", "binary", "timestamp"]),
           yaml_like)  # fmt: skip
    def test_any_tag(self, tag, text):
        only_input_errors(parse_yaml, f"a: !!{tag} {text}")

    @settings(max_examples=200, deadline=None)
    @given(structures)
    def test_json_is_read_as_it_was_written(self, data):
        try:
            read = parse_yaml(json.dumps(data, allow_nan=False))
        except (InputError, ValueError):  # no JSON, or a character that takes two escapes
            return
        assert _same(read, data)

    @settings(max_examples=300, deadline=None)
    @given(structures)
    def test_any_structure_as_a_workload(self, data):
        only_input_errors(validated, WorkloadDocument, data, file="fuzz")

    @settings(max_examples=400, deadline=None)
    @given(workload_documents)
    def test_nearly_right_workloads(self, tmp_path_factory, data):
        path = tmp_path_factory.getbasetemp() / f"fuzz{abs(hash(str(data)))}.yaml"
        try:
            path.write_text(yaml.safe_dump(data), encoding="utf-8")
        except (UnicodeEncodeError, ValueError):
            return
        only_input_errors(load_workload, path)
        path.unlink()

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(["gemm", "mlp", "rnnt"]), st.dictionaries(st.text(max_size=6), structures, max_size=2))
    def test_any_parameters(self, name, given_parameters):
        only_input_errors(lambda: load_workload(name, **given_parameters))

    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(["m", "batch"]), structures)
    def test_any_value(self, parameter, value):
        only_input_errors(lambda: load_workload("gemm", **{parameter: value}))

    @settings(max_examples=300, deadline=None)
    @given(st.text(max_size=40) | yaml_like.map(lambda text: f"gemm:m={text}"))
    def test_any_argument(self, text):
        only_input_errors(parse_workload_argument, text)


def _same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


class TestHostileFiles:
    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("a: &x [1]\nb: *x", "aliases"),
            ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", "aliases"),
            ("a: &a\n  b: *a", "aliases"),
            ("<<: *x", "aliases"),
            ("a: 1\na: 2", "'a' stands twice, again at line 2"),
            ("x: {a: 1, b: 2, a: 3}", "'a' stands twice"),
            ("'a': 1\n\"a\": 2", "stands twice"),
            ("1: a", "key 1 at line 1 is not text"),
            ("true: a", "is not text"),
            ("~: a", "is not text"),
            ("? [1, 2]\n: a", "is not text"),
            ("? {a: 1}\n: a", "is not text"),
            ("[" * 50 + "]" * 50, "nests deeper than 40"),
            ("{a: " * 50 + "}" * 50, "nests deeper than 40"),
            ("- " * 50 + "a", "nests deeper than 40"),
            ("a: !!python/object/apply:os.system [ls]", "tags"),
            ("a: !!int ''", "tags"),
            ("a: !!timestamp x", "tags"),
            ("a: !!map [1]", "tags"),
            ("a: ! x", "tags"),
            ("--- a\n--- b", "another document"),
            ("a: [1", "line 1"),
            ("a: b: c", "line 1"),
            ("a: '", "line 1"),
            ("\ta: 1", "line 1"),
            ('a: "\\ud800"', "surrogates"),
            ('a: "\\UFFFFFFFF"', "not valid YAML"),
            ("a: " + "9" * 5000, "digits"),
            ("a: \x00", "not valid YAML"),
        ],
    )
    def test_refused(self, tmp_path, text, rule):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        error = refused(read_yaml, path)
        assert rule in str(error)
        assert str(error).startswith(str(path))

    @pytest.mark.parametrize("text", ["", "# nothing", "---", "[1, 2]", "word", "3", "null"])
    def test_not_a_mapping(self, tmp_path, text):
        path = tmp_path / "bad.yaml"
        path.write_text(text)
        assert "must be a mapping of fields" in str(refused(read_yaml, path))

    def test_byte_order_mark_is_fine(self, tmp_path):
        path = tmp_path / "good.yaml"
        path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
        assert read_yaml(path) == {"a": 1, "b": 2}

    @pytest.mark.parametrize("content", [b"\xff\xfea\x00:\x00", b"a: \xe9", b"a: \xed\xa0\x80"])
    def test_not_utf8(self, tmp_path, content):
        path = tmp_path / "bad.yaml"
        path.write_bytes(content)
        assert "is not UTF-8 text (byte" in str(refused(read_yaml, path))

    def test_oversized(self, tmp_path):
        path = tmp_path / "bad.yaml"
        path.write_bytes(b"#" * (MEGABYTE + 1))
        assert "is larger than 1048576 bytes" in str(refused(read_yaml, path))
        path.write_bytes(b"a: 1 #" + b"#" * (MEGABYTE - 6))
        assert read_yaml(path) == {"a": 1}

    def test_missing_and_folders(self, tmp_path):
        assert "No such file" in str(refused(read_yaml, tmp_path / "none.yaml"))
        assert "Is a directory" in str(refused(read_yaml, tmp_path))
        assert "null byte" in str(refused(read_yaml, tmp_path / "a\0b"))

    @pytest.mark.parametrize(
        "text",
        [
            "a: " + "1" * MEGABYTE + "x",
            "a: " + "1_" * (MEGABYTE // 2) + "x",
            "a: 1" + "e1" * (MEGABYTE // 2),
            "[" * MEGABYTE,
            "- " * (MEGABYTE // 2),
            "\n".join(f"k{i}: 1" for i in range(60_000)),
            "a: [" + "1," * (MEGABYTE // 2),
            ":" * MEGABYTE,
            "%" * MEGABYTE,
            "a: |\n" + " \n" * (MEGABYTE // 2),
        ],
        ids=["digits", "underscores", "exponents", "brackets", "dashes", "keys", "list", "colons", "percent", "lines"],
    )
    def test_time_is_bounded(self, text):
        start = time.process_time()
        only_input_errors(parse_yaml, text[: MEGABYTE - 1])
        assert time.process_time() - start < 10

    def test_long_messages_are_cut(self):
        assert len(str(refused(parse_yaml, f"{'k' * 100}: 1\n" * 2))) < 400
        assert len(str(refused(parse_yaml, f"? {'k' * 5000}\n: 1\n? {'k' * 5000}\n: 2"))) < 400
