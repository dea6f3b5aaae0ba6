"""From bytes to a ModelProto whose outline holds together. Nothing in the file is believed."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import onnx
import onnx.defs
import onnx.inliner

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx.model import Source, text

__all__ = ["read_model", "subgraphs"]

MAX_FILE_BYTES = 2 << 30
MAX_INLINED_NODES = 1_000_000


def read_model(path: str | PathLike[str]) -> tuple[Any, Source]:
    """The ModelProto in a file, its local functions inlined, and where it came from.

    Raises:
        InputError: no such file, too large, not an ONNX model, truncated, or recursive functions.
        UnsupportedError: an opset newer than the installed onnx package knows.
    """
    file = Path(path)
    model = _parse(file)
    if not model.HasField("graph") or not model.graph.output:
        raise InputError("is not an ONNX model: it holds no graph with outputs", file=file)
    source = Source(str(file), file.resolve().parent, _opsets(model, file))
    if model.functions:
        model = _inlined(model, source)
    return model, source


def subgraphs(node: Any) -> Iterator[tuple[str, Any]]:
    """The (attribute name, GraphProto) pairs of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield text(attribute.name), attribute.g
        for graph in attribute.graphs:
            yield text(attribute.name), graph


def _parse(file: Path) -> Any:
    try:
        if not file.exists():
            raise InputError("does not exist", file=file)
        if not file.is_file():
            raise InputError("is not a file", file=file)
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            remedy = "store the weights as external data beside the model"
            raise InputError(f"has {size:,} bytes; an ONNX file holds at most 2 GiB", file=file, remedy=remedy)
        if size == 0:
            raise InputError("is empty", file=file)
        data = file.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path that no system could hold
        raise InputError(f"cannot be read ({error})", file=file) from error
    try:
        return onnx.ModelProto.FromString(data)
    except Exception as error:  # the protobuf package's DecodeError; its home differs between versions
        raise InputError(f"is not an ONNX model, or is truncated ({error})", file=file) from error


def _opsets(model: Any, file: Path) -> dict[str, int]:
    opsets = {text(each.domain): int(each.version) for each in model.opset_import}
    if "ai.onnx" in opsets:
        opsets.setdefault("", opsets["ai.onnx"])
    if not opsets and model.ir_version < 3:  # older files may leave it out, and mean the first
        opsets[""] = 1
    if not opsets:
        raise InputError("is missing: an ONNX model names its opsets", file=file, field="opset_import")
    newest = onnx.defs.onnx_opset_version()
    version = opsets.get("", 1)
    if version > newest:
        remedy = "install a newer onnx package, or export the model for an older opset"
        rule = f"is newer than the installed onnx package knows ({newest})"
        raise UnsupportedError(rule, file=file, field="opset_import", value=version, remedy=remedy)
    if version < 1:
        raise InputError("must be positive", file=file, field="opset_import", value=version)
    return opsets


def _inlined(model: Any, source: Source) -> Any:
    """The model with calls of its own functions replaced by their bodies, after a check that this ends."""
    functions = {(text(each.domain), text(each.name)): each.node for each in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, outer: tuple[tuple[str, str], ...]) -> int:
        return sum(call(node, outer) + sum(size(graph.node, outer) for _, graph in subgraphs(node)) for node in nodes)

    def call(node: Any, outer: tuple[tuple[str, str], ...]) -> int:
        key = text(node.domain), text(node.op_type)
        if key not in functions:
            return 1
        if key in outer or len(outer) > 100:
            raise source.error("calls itself, or is nested more than 100 deep", f"function {'::'.join(key)}")
        if key not in sizes:
            sizes[key] = size(functions[key], (*outer, key))
        return sizes[key]

    nodes = size(model.graph.node, ())
    if nodes > MAX_INLINED_NODES:
        raise source.error(f"expand to {nodes:,} nodes; at most {MAX_INLINED_NODES:,} are read", "functions")
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the C++ inliner raises whatever it meets
        raise source.error(f"cannot be inlined ({error})", "functions") from error
