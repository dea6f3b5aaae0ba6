"""Target ``numerics``: the emulator against what named programs and a GPU computed, bit for bit.

A case is a JSON file beside the arrays that it describes (validation/numerics/README.md); its fields choose the
format and the arithmetic, its arrays are compared number by number. `tensor_core_numerics.npz` and
`gemm_numerics.npz` hold what single tensor-core instructions and whole library products gave on an H100.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.numerics_cases import (
    cast_result,
    integer_result,
    library_results,
    mx_result,
    scaled_fp4_result,
    tensor_core_result,
)
from accelsim.study.validate.silicon import instruction_rows, product_rows

__all__ = ["TARGET", "Case", "identical"]

Arrays = Mapping[str, NDArray[Any]]


class Case(NamedTuple):
    """One case: what its JSON says, and its arrays."""

    about: Mapping[str, Any]
    arrays: Arrays


_KINDS: dict[str, Callable[[Mapping[str, Any], Arrays], dict[str, NDArray[Any]]]] = {
    "mx_quantize_dequantize": mx_result,
    "nvfp4_quantize_dequantize": scaled_fp4_result,
    "fp4_ue5m3_quantize_dequantize": scaled_fp4_result,
    "int_quantize_dequantize": integer_result,
    "element_cast": cast_result,
    "tensor_core_dot": tensor_core_result,
    "disagreement": library_results,
}
_FLOATS = ("y", "d", "scale", "tensor_scale")


def _rows(file: Path) -> Iterator[Row]:
    if file.suffix == ".npz":
        yield from (instruction_rows if file.name.startswith("tensor_core") else product_rows)(file)
        return
    yield evaluated(file.stem, partial(_compared, file), source=file.name)


def _compared(file: Path) -> Iterable[Comparison]:
    case = _read(file)
    kind = str(case.about.get("kind", ""))
    if kind not in _KINDS:
        raise UnknownNameError("kind of case", kind, _KINDS, file=file.name, field="kind")
    signed_zero = not str(case.about.get("compare", {}).get("zero_sign", "")).startswith("ignored")
    for name, found in _KINDS[kind](case.about, case.arrays).items():
        expected = case.arrays[name]
        if found.size != expected.size:
            raise UnsupportedError(
                f"has {expected.size} values, and {found.size} were computed", file=file.name, field=name
            )
        yield _comparison(name, found.reshape(expected.shape), expected, signed_zero)


def _comparison(name: str, found: NDArray[Any], expected: NDArray[Any], signed_zero: bool) -> Comparison:
    floats = name in _FLOATS or name.startswith("y__")
    same = identical(found, expected, signed_zero) if floats else found == expected
    note = ""
    if not same.all():
        place = tuple(int(each) for each in np.argwhere(~same)[0])
        shown = [each.view(np.float32) if floats else each for each in (found, expected)]
        note = f"first at {place}: {shown[0][place]} instead of {shown[1][place]}"
    return Comparison(f"{name}_identical", int(same.sum()), same.size, note=note)


def identical(found: NDArray[np.uint32], expected: NDArray[np.uint32], signed_zero: bool = True) -> NDArray[np.bool_]:
    """Where float32 patterns are equal; any NaN equals any NaN, and +0 equals -0 unless ``signed_zero``."""
    values = found.view(np.float32), expected.view(np.float32)
    same: NDArray[np.bool_] = (found == expected) | (np.isnan(values[0]) & np.isnan(values[1]))
    return same if signed_zero else same | ((values[0] == 0) & (values[1] == 0))


def _read(file: Path) -> Case:
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        with np.load(file.with_suffix(".npz"), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"cannot be read with its arrays ({error})", file=file) from None
    if not isinstance(about, dict):
        raise InputError("must be an object", file=file)
    return Case(about, arrays)


TARGET = Target(
    name="numerics",
    description="Quantised numbers, scales, casts and tensor-core sums, bit for bit, against the programs that each "
    "case names and against an H100.",
    looked_for=("[!m]*.json", "m[!a]*.json", "tensor_core_numerics.npz", "gemm_numerics.npz"),
    companions=("*.npz", "manifest.json"),
    rows=_rows,
    must_be_exact=True,
    notes=(
        "Predicted and measured are counts of identical numbers and of all numbers of an array.",
        "Disagreement cases are compared with each program's own result, by the library presets with quirks.",
        "NaN equals NaN; the sign of zero counts unless the case says that it does not.",
    ),
)
