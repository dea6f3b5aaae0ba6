"""Models and saved graphs by the ending of their file: which front end reads one, and which options it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.bundled.parameters import checked_size
from accelsim.workload.graph import Graph
from accelsim.workload.interchange import load_graph
from accelsim.workload.rewrite import rewrite

__all__ = ["TFLITE_ENDING", "TORCH_ENDINGS", "imported_model", "refuse", "stored_graph"]

TFLITE_ENDING = ".tflite"
TORCH_ENDINGS = (".pt2", ".pt", ".pth")  # the last two only to say what to do instead


def imported_model(
    path: Path, shapes: object, values: object, chosen: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Graph:
    """The graph of the ONNX model or torch program at ``path``; ``chosen`` are its other options."""
    from accelsim.workload.onnx import from_onnx

    where = f"workload {path.name}"
    if path.suffix.lower() in TORCH_ENDINGS:
        own = {key: chosen[key] for key in ("allow_zero_cost", "branches", "trips")}
        refuse({"values": values, **{k: v for k, v in chosen.items() if k not in own}}, path, "is for ONNX models")
        return _torch(path, shapes, own, parameters)
    for key, size in parameters.items():
        if key != "batch" and not isinstance(size, int):
            known = ("batch", "shapes", "values", *chosen)
            raise UnknownNameError("parameter of an ONNX model", key, known, file=where)
    batch = parameters.get("batch")
    named = {key: (checked_size(size, file=where, field=key),) for key, size in parameters.items() if key != "batch"}
    sizes = {name: _shape(shape, where, f"shapes.{name}") for name, shape in _by_name(shapes, where, "shapes")}
    return from_onnx(
        path,
        shapes={**sizes, **named},
        values=dict(_by_name(values, where, "values")),
        batch=None if batch is None else checked_size(batch, file=where, field="batch"),
        **chosen,
    )


def _torch(path: Path, shapes: object, own: Mapping[str, Any], parameters: Mapping[str, Any]) -> Graph:
    """The graph of the torch program at ``path``."""
    from accelsim.workload.torch import from_torch

    where = f"workload {path.name}"
    for key in parameters:
        if key != "batch":
            known = ("allow_zero_cost", "batch", "branches", "shapes", "trips")
            raise UnknownNameError("parameter of a torch program", key, known, file=where)
    given = {name: _shape(shape, where, f"shapes.{name}") for name, shape in _by_name(shapes, where, "shapes")}
    return from_torch(path, shapes=given, batch=parameters.get("batch"), **own)


def stored_graph(path: Path, options: Mapping[str, Any], parameters: Mapping[str, Any]) -> Graph:
    """The graph of a TFLite model, or one that was saved or written for another program."""
    for key in parameters:
        if key != "batch":
            raise UnknownNameError("parameter of a model or saved graph", key, ("batch",), file=f"workload {path.name}")
    if path.suffix.lower() == TFLITE_ENDING:
        from accelsim.workload.tflite import from_tflite

        graph = from_tflite(path, **options)
    else:
        graph = load_graph(path)
    if "batch" not in parameters:
        return graph
    batch = checked_size(parameters["batch"], file=f"workload {path.name}", field="batch")
    return rewrite(graph, f"batch:size={batch}")


def refuse(given: Mapping[str, object], path: Path, rule: str, remedy: str | None = None) -> None:
    """Refuse what only ONNX models take."""
    for field, value in given.items():
        if value:
            raise InputError(rule, file=f"workload {path.stem}", field=field, remedy=remedy)


def _by_name(given: object, where: str, field: str) -> Iterable[tuple[str, Any]]:
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        remedy = f"write such as {field}={{input: ...}}"
        raise InputError("must be a mapping by input name", file=where, field=field, value=given, remedy=remedy)
    return given.items()


def _shape(shape: object, where: str, field: str) -> tuple[int, ...]:
    if isinstance(shape, int):
        return (checked_size(shape, file=where, field=field),)
    if isinstance(shape, str) or not isinstance(shape, Sequence):
        raise InputError("must be a list of sizes", file=where, field=field, value=shape, remedy="write such as [1, 3]")
    return tuple(checked_size(size, file=where, field=field) for size in shape)
