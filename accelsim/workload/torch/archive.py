"""A ``.pt2`` file to a `Program`, from its JSON alone.

`torch.export.load` unpickles weights and evaluates expressions as Python, so it must not see a file that one does not
trust. Here nothing is unpickled, imported or evaluated, no weight is read, and torch need not be installed.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.torch.program import (
    Argument,
    Body,
    Call,
    InputKind,
    Program,
    ProgramInput,
    Ref,
    Size,
    Source,
    SymbolicTensor,
)
from accelsim.workload.torch.sizes import UnboundSizeError, symbol_of

__all__ = ["read_archive"]

SCHEMA_MAJOR = 8
MAX_JSON_BYTES = 256 << 20
MAX_NESTING = 20

# torch/_export/serde/schema.py: Layout and ScalarType.
STRIDED = 7
DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16", 29: "float8_e4m3fn",
    30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip

_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 3: "channels_last_3d", 4: "preserve_format"}
_SCALARS = ("as_int", "as_float", "as_string", "as_bool", "as_operator")
_LISTS = ("as_ints", "as_floats", "as_strings", "as_bools")
_REMEDY = "save it by torch.export.save(torch.export.export(module.eval(), example_inputs), 'model.pt2')"


def read_archive(path: Path) -> Program:
    """The program in a file that `torch.export.save` wrote.

    Raises:
        InputError: the file cannot be read, is not such a file, or does not hold together.
        UnsupportedError: TorchScript, a pickle, an older format, or several programs in one file.
    """
    source = Source(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2]: name for name in archive.namelist()}
            model = _model(archive, members, source)
            weights = _json(archive, members, "data/weights/model_weights_config.json", source)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=path) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        rule = f"is not an exported program ({error})"
        raise UnsupportedError(rule, file=path, remedy=f"pickles and TorchScript are not read; {_REMEDY}") from None
    try:
        return _program(model, weights, source, path.stem)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        shown = f"{type(error).__name__}: {error}"
        raise source.error(f"does not hold together ({shown})", "models/model.json", remedy=_REMEDY) from error


def _model(archive: zipfile.ZipFile, members: Mapping[str, str], source: Source) -> Any:
    programs = sorted(name for name in members if name.startswith("models/") and name.endswith(".json"))
    if len(programs) > 1:
        rule = f"holds {len(programs)} programs ({', '.join(programs)})"
        raise source.unsupported(rule, remedy="save each in a file of its own")
    if not programs:
        if any(name == "data.pkl" or name.startswith("code/") for name in members):
            rule = "is TorchScript or a pickle, which is not read: it holds Python to run, or weights without a graph"
        elif "serialized_exported_program.json" in archive.namelist():
            rule = "is in the format of torch 2.7 and before, which is not read"
        else:
            rule = "holds no exported program"
        raise source.unsupported(rule, remedy=_REMEDY)
    model = _json(archive, members, programs[0], source)
    stated = model.get("schema_version") if isinstance(model, dict) else None
    version = stated.get("major") if isinstance(stated, dict) else stated
    if version != SCHEMA_MAJOR:
        remedy = f"save it again with a torch that writes schema {SCHEMA_MAJOR}, such as 2.13"
        raise source.unsupported(f"has schema {version}, not {SCHEMA_MAJOR}", "schema_version", remedy=remedy)
    return model


def _json(archive: zipfile.ZipFile, members: Mapping[str, str], name: str, source: Source) -> Any:
    if name not in members:
        return {}
    info = archive.getinfo(members[name])
    if info.file_size > MAX_JSON_BYTES:
        raise source.error(f"has {info.file_size:,} bytes; at most {MAX_JSON_BYTES:,} are read", name)
    with archive.open(info) as stream:
        data = stream.read(MAX_JSON_BYTES + 1)  # a member may be longer than it says
    try:
        if len(data) > MAX_JSON_BYTES:
            raise ValueError("it is longer than it says")
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise source.error(f"is not JSON ({error})", name) from None


def _program(model: Any, weights: Any, source: Source, name: str) -> Program:
    graph = model["graph_module"]["graph"]
    places = {fqn: _place(fqn, entry) for fqn, entry in weights.get("config", {}).items()}
    first_of = {place: fqn for fqn, place in reversed(places.items())}
    specs = model["graph_module"]["signature"]["input_specs"]
    inputs = [_input(spec) for spec in specs]
    tied = [
        ProgramInput(each.name, each.kind, first_of[places[each.stored]] if each.stored in places else each.stored)
        for each in inputs
    ]
    ranges = {
        key: (_bound(each["min_val"]), _bound(each["max_val"])) for key, each in model["range_constraints"].items()
    }
    outputs = [_output(spec) for spec in model["graph_module"]["signature"]["output_specs"]]
    body = _body(graph, 0)
    body = Body(tuple(each.name for each in tied), body.calls, tuple(outputs), body.values)
    return Program(source, name, tuple(tied), body, _hints(graph), ranges)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a name")
    return value


def _place(fqn: str, entry: Any) -> str:
    """Where a stored tensor lies: tied weights lie at one place. Meta tensors lie nowhere."""
    meta = entry.get("tensor_meta") or {}
    own = fqn if (meta.get("device") or {}).get("type") == "meta" else ""
    return json.dumps([entry["path_name"], meta.get("sizes"), meta.get("storage_offset"), own])


def _bound(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise ValueError(f"{value!r} is not a bound")
    return value


def _input(spec: Any) -> ProgramInput:
    ((kind, content),) = spec.items()
    if kind == "user_input":
        ((form, value),) = content["arg"].items()
        if form in ("as_tensor", "as_sym_int"):
            return ProgramInput(_text(value.get("name") or value["as_name"]), "input")
        return ProgramInput(f"({form})", "other")
    stored: dict[str, tuple[InputKind, str]] = {
        "parameter": ("parameter", "parameter_name"),
        "buffer": ("buffer", "buffer_name"),
        "tensor_constant": ("constant", "tensor_constant_name"),
    }
    if kind not in stored:
        return ProgramInput(str(content.get("name", f"({kind})")), "other")
    known, key = stored[kind]
    return ProgramInput(_text(content["arg"]["name"]), known, _text(content[key]))


def _output(spec: Any) -> Argument:
    ((_, content),) = spec.items()
    argument = content["arg"]
    return _argument(argument, 0) if "name" not in argument else Ref(_text(argument["name"]))


def _hints(graph: Any) -> dict[str, int]:
    hints: dict[str, int] = {}
    sizes = [size for meta in graph["tensor_values"].values() for size in meta["sizes"]]
    for size in [*sizes, *graph["sym_int_values"].values()]:
        expression = size.get("as_expr") or {}
        hint = (expression.get("hint") or {}).get("as_int")
        if isinstance(hint, int) and (name := symbol_of(expression["expr_str"])) is not None:
            hints[name] = hint
    return hints


def _body(graph: Any, depth: int) -> Body:
    if depth > MAX_NESTING:
        raise ValueError(f"subgraphs are nested more than {MAX_NESTING} deep")
    values: dict[str, Any] = {name: _tensor(meta) for name, meta in graph["tensor_values"].items()}
    for numbers in ("sym_int_values", "sym_bool_values", "sym_float_values"):
        values.update({name: _size(each) for name, each in graph.get(numbers, {}).items()})
    inputs = tuple(_names(each)[0] or "" for each in graph["inputs"])
    calls = tuple(_call(node, depth) for node in graph["nodes"])
    return Body(inputs, calls, tuple(_argument(each, depth) for each in graph["outputs"]), values)


def _tensor(meta: Any) -> SymbolicTensor:
    sizes, strides = tuple(map(_whole, meta["sizes"])), tuple(map(_whole, meta["strides"]))
    if len(sizes) != len(strides) or meta["layout"] != STRIDED:
        raise ValueError("a tensor is not dense: only strided tensors are modelled")
    return SymbolicTensor(DTYPES[meta["dtype"]], sizes, strides)


def _whole(size: Any) -> Size:
    value = _size(size)
    if not isinstance(value, int | str):
        raise ValueError(f"{size} is not a size")
    return value


def _size(size: Any) -> Size | float | None:
    ((_, value),) = size.items()
    if isinstance(value, dict):
        text = str(value["expr_str"])
        try:
            symbol_of(text)
        except UnboundSizeError as error:
            raise ValueError(str(error)) from None
        return text
    return _scalar(value) if not isinstance(value, str) else None


def _call(node: Any, depth: int) -> Call:
    target = _text(node["target"])
    namespace, overload = target, ""
    if target.startswith("torch.ops."):
        parts = target.removeprefix("torch.ops.").split(".")
        namespace = "::".join(parts[:2])
        overload = parts[2] if len(parts) > 2 else ""
    arguments = {_text(each["name"]) or str(i): _argument(each["arg"], depth) for i, each in enumerate(node["inputs"])}
    outputs = tuple(name for each in node["outputs"] for name in _names(each))
    stack = str(node["metadata"].get("nn_module_stack", "")).split(";")[-1].split(",")
    module = ",".join(stack[1:-1])
    name = _text(node.get("name") or next(filter(None, outputs), target))
    return Call(name, namespace, overload, arguments, outputs, module)


def _names(argument: Any) -> tuple[str | None, ...]:
    """Names of the values that a call makes, or that a subgraph takes, as one argument of the schema."""
    ((form, value),) = argument.items()
    if form == "as_tensor":
        return (_text(value["name"]),)
    if form == "as_tensors":
        return tuple(_text(each["name"]) for each in value)
    if form in ("as_optional_tensor", "as_optional_tensors"):
        each_value = value if isinstance(value, list) else [value]
        return tuple(_text(each["as_tensor"]["name"]) if "as_tensor" in each else None for each in each_value)
    if form in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return (_text(value["as_name"]),) if "as_name" in value else (None,)
    return (None,)


def _argument(argument: Any, depth: int) -> Argument:
    ((form, value),) = argument.items()
    if form in _SCALARS:
        return _scalar(value)
    if form in _LISTS:
        return tuple(_scalar(each) for each in value)
    if form == "as_tensor":
        return Ref(_text(value["name"]))
    if form == "as_tensors":
        return tuple(Ref(_text(each["name"])) for each in value)
    if form == "as_optional_tensor":
        return Ref(_text(value["as_tensor"]["name"])) if "as_tensor" in value else None
    if form == "as_optional_tensors":
        return tuple(Ref(_text(each["as_tensor"]["name"])) if "as_tensor" in each else None for each in value)
    if form in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return _symbolic(value)
    if form in ("as_sym_ints", "as_sym_floats", "as_sym_bools"):
        return tuple(map(_symbolic, value))
    if form == "as_scalar_type":
        return DTYPES[value]
    if form == "as_memory_format":
        return _MEMORY_FORMATS.get(value)
    if form == "as_graph":
        return _body(value["graph"], depth + 1)
    if form == "as_nested_tensors":
        return tuple(tuple(Ref(_text(each["name"])) for each in row) for row in value)
    return None  # devices, layouts and the like cost nothing


def _scalar(value: Any) -> bool | int | float | str:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{value!r} is not a number or a word")
    return value


def _symbolic(value: Any) -> Argument:
    ((form, content),) = value.items()
    return Ref(_text(content)) if form == "as_name" else _scalar(content)
