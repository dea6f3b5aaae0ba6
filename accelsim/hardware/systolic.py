"""Systolic arrays of any size by name: `systolic-RxC[-ws|-os|-is][-overlapped]`, made from one bundled template."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from accelsim.documents import bundled_folder, read_yaml
from accelsim.errors import InputError

__all__ = ["SYSTOLIC_NAMES", "systolic_array"]

SYSTOLIC_NAMES = "systolic-RxC[-ws|-os|-is][-overlapped]"
"""How the names are written."""

_NAME = re.compile(r"systolic-([0-9]{1,9})x([0-9]{1,9})(?:-(ws|os|is))?(-overlapped)?", re.ASCII)
_DATAFLOWS = {"ws": "weight_stationary", "os": "output_stationary", "is": "input_stationary"}


def systolic_array(name: str) -> tuple[Path, dict[str, Any]] | None:
    """The template and its data for the array that ``name`` describes; None where it is no such name.

    Raises:
        InputError: an array without rows or columns, or the template says ``per`` something that is not known.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    rows, columns = int(found[1]), int(found[2])
    if not rows or not columns:
        raise InputError(
            "has no rows or no columns", field="architecture", value=name, remedy=f"write {SYSTOLIC_NAMES}"
        )
    path = bundled_folder("architectures") / "systolic" / "template.yaml"
    sizes = {"rows": rows, "columns": columns, "sides": rows + columns, "pes": rows * columns}
    data: dict[str, Any] = _sized(read_yaml(path), sizes, "", path)
    data["name"] = name
    if found[3]:
        data["array"]["dataflows"] = [_DATAFLOWS[found[3]]]
    if found[4]:
        data["array"]["fill_drain"] = "overlapped"
    flow = ", ".join(each.replace("_", " ") for each in data["array"]["dataflows"])
    paid = "overlapped" if found[4] else "paid per fold"
    data["description"] = f"One {rows}x{columns} systolic array, {flow}, fill and drain {paid}"
    return path, data


def _sized(node: Any, sizes: dict[str, int], field: str, file: Path) -> Any:
    """``node`` with each constant that is stated ``per`` row, column, side or PE multiplied by how many there are."""
    if not isinstance(node, dict):
        return node
    if "per" not in node:
        return {key: _sized(each, sizes, key, file) for key, each in node.items()}
    if node["per"] not in sizes:
        raise InputError(f"is not one of {', '.join(sizes)}", file=file, field=f"{field}.per", value=node["per"])
    constant = {key: each for key, each in node.items() if key != "per"}
    for end in constant.keys() & {"value", "low", "high"}:
        constant[end] *= sizes[node["per"]]
    return constant
