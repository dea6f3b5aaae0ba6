"""Workloads in files of other programs, and in our own: `load_graph` tells by the file's name and beginning which.

graph_file   our own graph, whole, as JSON or YAML with a version
scale_sim    topology CSV of SCALE-Sim: convolutions or products, one a line
zigzag       workload YAML of ZigZag: a list of layers with loop sizes and an equation
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from accelsim.workload.graph import Graph

__all__ = ["is_graph_file", "load_graph", "save_graph"]

_SNIFFED_BYTES = 1 << 16


def is_graph_file(path: Path) -> bool:
    """Whether `load_graph` reads a file of this name and beginning; YAML of another kind is not its business."""
    suffix = path.suffix.lower()
    if suffix in (".json", ".csv"):
        return True
    return suffix in (".yaml", ".yml") and _yaml_kind(path) is not None


def load_graph(path: str | PathLike[str]) -> Graph:
    """The graph in a .json, .yaml or .csv file.

    Raises:
        InputError: it cannot be read, or breaks a rule of its format; the message names the place.
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix == ".csv":
        from accelsim.workload.interchange.scale_sim import read_topology

        return read_topology(file)
    if suffix != ".json" and _yaml_kind(file) == "zigzag":
        from accelsim.workload.interchange.zigzag import read_layers

        return read_layers(file)
    from accelsim.workload.interchange.graph_file import read_graph

    return read_graph(file)


def save_graph(graph: Graph, path: str | PathLike[str]) -> None:
    """Write ``graph`` to a .json or .yaml file; `load_graph` reads back an equal one.

    Raises:
        InputError: another ending, a graph too large for YAML, or a file that cannot be written.
    """
    from accelsim.workload.interchange.graph_file import write_graph

    write_graph(graph, Path(path))


def _yaml_kind(path: Path) -> str | None:
    """``graph``, ``zigzag`` (a list at the top), or None."""
    from accelsim.workload.interchange.graph_file import VERSION_FIELD

    try:
        with path.open("rb") as stream:
            beginning = stream.read(_SNIFFED_BYTES).decode("utf-8", "replace").lstrip("\ufeff")
    except (OSError, ValueError):
        return None  # whoever reads it says why
    lines = (line for line in beginning.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    first = next((line for line in lines if line.strip() != "---"), "")
    if first.lstrip().startswith(("- ", "[")) or first.strip() == "-":
        return "zigzag"
    return "graph" if first.startswith(f"{VERSION_FIELD}:") else None
