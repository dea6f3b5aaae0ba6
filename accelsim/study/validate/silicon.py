"""Records of a real GPU: single tensor-core instructions and whole library products; see validation/numerics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from accelsim import numerics
from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics.accumulators import ACCUMULATORS, AlignTruncate
from accelsim.numerics.elements import Float
from accelsim.numerics.formats import FORMATS
from accelsim.numerics.rounding import decoded
from accelsim.study.validate.framework import Comparison, Row, evaluated

__all__ = ["instruction_rows", "product_rows"]

Arrays = Mapping[str, NDArray[Any]]

_TYPES = {"f16": "fp16", "bf16": "bf16", "tf32": "tf32", "e4m3": "fp8_e4m3", "e5m2": "fp8_e5m2"}
_TF32_UNUSED = np.uint32(13)


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"cannot be read ({error})", file=file) from None


def _numbers(bits: NDArray[Any], form: str) -> NDArray[np.float32]:
    """Raw bits of a register as float32; of TF32 the 13 low bits are not used."""
    if form == "tf32":
        return (bits >> _TF32_UNUSED << _TF32_UNUSED).view(np.float32)
    if form == "fp32":
        return np.ascontiguousarray(bits).view(np.float32)
    element = FORMATS[form].element
    assert isinstance(element, Float)
    return decoded(bits, element)


def instruction_rows(file: Path) -> Iterator[Row]:
    """A row an instruction of ``tensor_core_numerics.npz``."""
    arrays = _arrays(file)
    for name in sorted({each.rpartition(".")[0] for each in arrays}):
        yield evaluated(name, partial(_instruction, name, arrays), source=file.name)


def _unit(name: str) -> tuple[AlignTruncate, tuple[str, str]]:
    """The accumulator and the operands' formats of an instruction, by its name."""
    parts = name.split("_")
    if len(parts) not in (4, 5) or parts[0] not in ("mma", "wgmma") or any(each not in _TYPES for each in parts[3:]):
        raise UnsupportedError("is not an instruction that is known", field="name", value=name)
    operands = (_TYPES[parts[3]], _TYPES[parts[-1]])
    k = int(parts[1].rpartition("k")[2])
    eight = operands[0].startswith("fp8")
    if eight and parts[0] == "mma":
        unit = ACCUMULATORS["hopper-fp8-mma"]
    else:
        half = parts[2] == "f16"
        unit = ACCUMULATORS[{(False, False): "hopper", (False, True): "hopper-fp16",
                             (True, False): "hopper-fp8", (True, True): "hopper-fp8-fp16"}[eight, half]]  # fmt: skip
    assert isinstance(unit, AlignTruncate)
    width = 8 if eight else 32 if operands[0] == "tf32" else 16
    return (unit if unit.paired else replace(unit, step_bits=k * width)), operands


def _instruction(name: str, arrays: Arrays) -> Iterable[Comparison]:
    unit, operands = _unit(name)
    output = "fp16" if arrays[f"{name}.C"].dtype == np.uint16 else "fp32"
    counts = {"finite": [0, 0], "special": [0, 0]}
    for tile in range(len(arrays[f"{name}.A"])):
        a, b = (_numbers(arrays[f"{name}.{part}"][tile], form) for part, form in zip("AB", operands, strict=True))
        c, d = (_numbers(arrays[f"{name}.{part}"][tile], output) for part in "CD")
        found = numerics.matmul(a, b, accumulator=unit, c=c, operands=operands, transpose_b=True)
        same = (found.view(np.uint32) == d.view(np.uint32)) | (np.isnan(found) & np.isnan(d))
        rows, columns = (np.isfinite(each).all(axis=1, keepdims=True) for each in (a, b))
        finite = rows & columns.T & np.isfinite(c)
        for kind, chosen in (("finite", finite), ("special", ~finite)):
            counts[kind][0] += int((same & chosen).sum())
            counts[kind][1] += int(chosen.sum())
    for kind, (equal, all_of_them) in counts.items():
        if all_of_them:
            yield Comparison(f"{kind}_identical", equal, all_of_them)


def product_rows(file: Path) -> Iterator[Row]:
    """A row a result of ``gemm_numerics.npz``."""
    arrays = _arrays(file)
    for name in sorted(each.removesuffix(".D") for each in arrays if each.endswith(".D")):
        yield evaluated(name, partial(_product, name, arrays), source=file.name)


def _product(name: str, arrays: Arrays) -> Iterable[Comparison]:
    """mm_TYPE[_f32out]_K, scaled_mm_TYPE_fastN_K: a fast sum stays in the unit, the other is promoted every 128."""
    head, _, length = name.rpartition("_")
    inputs = f"{head.removesuffix('_f32out').removesuffix('_fast0').removesuffix('_fast1')}_{length}"
    form = next((full for short, full in {**_TYPES, "fp16": "fp16"}.items() if short in inputs.split("_")), None)
    if form is None or f"{inputs}.A" not in arrays:
        raise UnsupportedError("is not a product that is known", field="name", value=name)
    a, b = (_numbers(arrays[f"{inputs}.{part}"], form) for part in "AB")
    unit = "hopper" if not form.startswith("fp8") else "hopper-fp8" if "fast1" in head else "hopper-fp8-promoted"
    found = numerics.matmul(a, b, accumulator=unit, operands=form, transpose_b=True)
    stored = arrays[f"{name}.D"]
    if stored.dtype != np.float32:
        found = numerics.cast(found, form)
        expected = _numbers(stored, form)
    else:
        expected = stored
    same = (found.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(found) & np.isnan(expected))
    yield Comparison("identical", int(same.sum()), same.size)
