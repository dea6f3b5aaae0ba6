"""What the torch front end refuses, and that nothing in a file is run. Only the classes at the end need torch."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim import load_workload
from accelsim.cli import main
from accelsim.errors import AccelsimError, InputError, UnknownNameError, UnsupportedError
from accelsim.workload.torch import from_torch
from accelsim.workload.torch.sizes import UnboundSizeError, evaluate, symbol_of, symbols_of

SMALL = Path(__file__).parent.parent / "reference" / "torch" / "small.pt2"
CALM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def changed(path: Path, change: Callable[[Any], object], **members: bytes) -> Path:
    """small.pt2 with its program changed, and members replaced or added."""
    with zipfile.ZipFile(SMALL) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "small/models/model.json":
                model = json.loads(data)
                change(model)
                data = json.dumps(model).encode()
            target.writestr(name, members.pop(name, data))
        for name, data in members.items():
            target.writestr(name, data)
    return path


def nodes(model: Any) -> Any:
    return model["graph_module"]["graph"]["nodes"]


def test_a_file_is_read_without_torch() -> None:
    """Counted by hand: two LSTM layers in two directions, a convolution, attention, one weight used twice."""
    graph = from_torch(SMALL)
    lstm = sum(2 * 10 * 2 * (4 * 16 * (size + 4) + 16 * 4) for size in (8, 8))
    attention = 20 * 8 * 24 + 2 * 2 * 2 * 10 * 10 * 4 + 20 * 8 * 8
    assert graph.macs == lstm + 2 * 10 * 8 * 24 + attention + 2 * 20 * 64
    weights = 2 * 2 * (64 * (8 + 4) + 128 + 64) + (8 * 24 + 8) + 4 * 8 + (24 * 8 + 24 + 64 + 8) + 64
    assert graph.parameters == weights
    assert graph.batch == 2


def test_torch_is_not_imported(tmp_path: Path) -> None:
    code = f"import sys, accelsim; accelsim.load_workload({str(SMALL)!r}); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_open_dimensions_are_bound(batch: int) -> None:
    one = load_workload(SMALL, batch=1)
    graph = load_workload(SMALL, batch=batch)
    assert graph.batch == batch
    assert graph.macs == batch * one.macs
    assert graph.parameters == one.parameters
    assert from_torch(SMALL, shapes={"x": (batch, 10, 8)}).tensors == graph.tensors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shapes": {"y": (1, 10, 8)}}, "'y' is not a known input"),
        ({"shapes": {"x": (1, 10)}}, r"has 2 axes, but the program takes \[s77, 10, 8\]"),
        ({"shapes": {"x": (1, 12, 8)}}, "differs on axis 1 from the 10 that the program was exported with"),
        ({"shapes": {"x": (0, 10, 8)}}, "must be positive sizes"),
        ({"shapes": {"x": ("a", 10, 8)}}, "must be integers"),
        ({"shapes": {"x": (65, 10, 8)}}, "outside of the range that the program was exported for, 0 to 64"),
        ({"shapes": {"x": (2, 10, 8)}, "batch": 3}, "contradicts shapes, which fix it to 2"),
        ({"batch": 0}, "must be a whole number of 1 or more"),
        ({"allow_zero_cost": ["conv1"]}, "Did you mean 'conv1d'"),
        ({"example_inputs": (1,)}, "is exported already"),
    ],
)
def test_wrong_options(options: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_torch(SMALL, **options)


def test_all_unknown_calls_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(model: Any) -> None:
        for node in nodes(model):
            if node["target"].split(".")[3] in ("conv1d", "batch_norm"):
                node["target"] = node["target"].replace("aten", "mine")

    path = changed(tmp_path / "mine.pt2", change)
    with pytest.raises(UnsupportedError) as caught:
        from_torch(path)
    for said in ("2 nodes are not modelled", "conv1d (mine::conv1d.default) in conv", "batch_norm (mine::batch_norm",
                 "--allow-zero-cost mine::batch_norm --allow-zero-cost mine::conv1d"):  # fmt: skip
        assert said in str(caught.value)
    assert main(["show", str(path)]) == 2
    assert "2 nodes are not modelled" in capsys.readouterr().err
    graph = from_torch(path, allow_zero_cost=["mine::conv1d", "batch_norm"])
    assert graph.parameters_used["macs_covered"] == "not known: 2 of them are of operators that are not modelled"
    assert from_torch(SMALL).parameters_used["macs_covered"] == 1.0


def test_coverage_counts_what_is_left_out() -> None:
    whole, part = from_torch(SMALL), from_torch(SMALL, allow_zero_cost=["conv1d"])
    assert part.parameters_used["macs_covered"] == pytest.approx(part.macs / whole.macs)
    assert part.macs == whole.macs - 2 * 10 * 8 * 24


@pytest.mark.parametrize(
    ("target", "key", "value", "said"),
    [
        ("batch_norm", "training", True, "is in training mode. Call module.eval()"),
        ("linear", "weight", None, "lacks its tensor 'weight'"),
        ("conv1d", "padding", [1, 1, 1], "needs 1 integers as padding"),
        ("lstm", "num_layers", 3, "weights for 3 layers"),
    ],
)
def test_calls_that_break_a_rule(tmp_path: Path, target: str, key: str, value: Any, said: str) -> None:
    def change(model: Any) -> None:
        node = next(node for node in nodes(model) if node["target"].split(".")[3] == target)
        node["inputs"] = [each for each in node["inputs"] if each["name"] != key]
        form = "as_bool" if isinstance(value, bool) else "as_ints" if isinstance(value, list) else "as_int"
        if value is not None:
            node["inputs"].append({"name": key, "arg": {form: value}, "kind": 1})

    with pytest.raises(InputError, match=said):
        from_torch(changed(tmp_path / "broken.pt2", change))


class _Bomb:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    """Neither the pickles, which torch.export.load runs, nor the expressions, which it gives to sympy.sympify."""
    trap = tmp_path / "trap"
    bomb = pickle.dumps(_Bomb(trap))
    members = dict.fromkeys(("small/data/sample_inputs/model.pt", "small/data/weights/weight_0"), bomb)
    assert from_torch(changed(tmp_path / "pickle.pt2", dict, **members)).macs == from_torch(SMALL).macs

    def change(model: Any) -> None:
        sizes = model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = f"__import__('pathlib').Path({str(trap)!r}).touch()"

    with pytest.raises(InputError, match="has a size that"):
        from_torch(changed(tmp_path / "expression.pt2", change))

    def call(model: Any) -> None:
        next(node for node in nodes(model) if ".conv1d." in node["target"])["target"] = "torch.os.system"

    with pytest.raises(UnsupportedError, match="1 node is not modelled"):
        from_torch(changed(tmp_path / "target.pt2", call))
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not an exported program"),
        (b"\x80\x02}q\x00.", "Pickles and TorchScript are not read; save it by torch.export.save"),
        (SMALL.read_bytes()[:9000], "is not an exported program"),
    ],
)
def test_files_that_are_no_programs(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(UnsupportedError, match=said):
        load_workload(path)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"m/data.pkl": b"", "m/code/x.py": b""}, "is TorchScript or a pickle"),
        ({"serialized_exported_program.json": b"{}"}, "torch 2.7 and before"),
        ({"m/models/a.json": b"{}", "m/models/b.json": b"{}"}, "holds 2 programs"),
        ({"m/models/a.json": b'{"schema_version": {"major": 9}}'}, "has schema 9, not 8"),
        ({"m/models/a.json": b"{"}, "is not JSON"),
        ({"m/models/a.json": b'{"schema_version": {"major": 8}}'}, "does not hold together"),
        ({"m/other": b""}, "holds no exported program"),
    ],
)
def test_archives_that_are_no_programs(tmp_path: Path, members: dict[str, bytes], said: str) -> None:
    path = tmp_path / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=said):
        load_workload(path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("m/models/a.json", "w") as member:
        for _ in range(257):
            member.write(b" " * (1 << 20))
    with pytest.raises(InputError, match="at most 268,435,456 are read"):
        load_workload(path)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in _places(each, (*path, key)))]


with zipfile.ZipFile(SMALL) as _archive:
    _MODEL = _archive.read("small/models/model.json")
_PLACES = [place for place in _places(json.loads(_MODEL)) if place]
_JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**70), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.sampled_from(["Symbol('s77')", "Pow(Integer(9), Integer(999999999))", "Mul(" * 99, "torch.ops.aten.mm.default"]),
)  # fmt: skip


@CALM
@given(changes=st.lists(st.tuples(st.sampled_from(_PLACES), _JUNK), min_size=1, max_size=3))
def test_mutated_programs_are_refused_or_read(changes: list[tuple[Any, Any]]) -> None:
    """A file in which anything may be wrong gives a graph or one of our errors, never another exception."""
    model = json.loads(_MODEL)
    for place, junk in changes:
        here = model
        try:
            for key in place[:-1]:
                here = here[key]
            here[place[-1]] = junk
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/models/a.json", json.dumps(model))
    handle, name = tempfile.mkstemp(suffix=".pt2")
    os.close(handle)
    path = Path(name)
    try:
        path.write_bytes(buffer.getvalue())
        from_torch(path)
    except AccelsimError:
        pass
    finally:
        path.unlink()


S = "Symbol('s0', positive=True, integer=True)"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (7, 7),
        (S, 5),
        (f"Mul(Integer(3), {S})", 15),
        (f"Add(FloorDiv(Add({S}, Integer(-1)), Integer(2)), Integer(1))", 3),
        (f"Max(Integer(9), Pow({S}, Integer(2)))", 25),
        (f"CeilToInt(IntTrueDiv({S}, Integer(2)))", 3),
        (f"Mul(Rational(1, 5), {S})", 1),
        (f"Mod({S}, Integer(3))", 2),
        ("Integer(-4)", -4),
    ],
)
def test_sizes(expression: int | str, value: int) -> None:
    assert evaluate(expression, {"s0": 5}) == value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Symbol('u0', integer=True)", "which the data decides"),
        ("Pow(Integer(9), Integer(999999999))", "raises 9 to 999999999"),
        ("Foo(Integer(1))", "'Foo', which is not known"),
        ("Mul(Rational(1, 2), Integer(3))", "is 3/2, which is not a size"),
        ("FloorDiv(Integer(1), Integer(0))", "cannot be evaluated"),
        ("__import__('os')", "not known"),
        ("[1 for _ in ()]", "is not an expression over sizes"),
        ("Integer(1" + ", Integer(1" * 5000, "is an expression of|is not an expression"),
    ],
)
def test_sizes_that_are_none(expression: str, said: str) -> None:
    with pytest.raises(UnboundSizeError, match=said):
        evaluate(expression, {})


def test_names_in_sizes() -> None:
    assert symbol_of(S) == "s0"
    assert symbol_of(f"Mul(Integer(2), {S})") is None
    assert symbols_of(f"Add({S}, Symbol('s1'))") == {"s0", "s1"}


def test_without_torch_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'accelsim\[torch\]'"):
        from_torch(object(), ())


def test_unknown_parameters_of_a_file() -> None:
    with pytest.raises(UnknownNameError, match="parameter of a torch program"):
        load_workload(SMALL, layers=3)
    with pytest.raises(InputError, match="is for ONNX models"):
        load_workload(SMALL, values={"x": 1})
