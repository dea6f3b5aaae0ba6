"""What a model is run on: the user's arrays, checked, or drawn numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.onnx.model import ELEMENTS, TensorType
from accelsim.workload.onnx.program import Program

__all__ = ["checked_inputs", "drawn_inputs"]

Array = NDArray[Any]


def drawn_inputs(program: Program, seed: int) -> dict[str, Array]:
    """Standard normal numbers for inputs of floats, in file order, and ones for all others.

    Raises:
        InputError: a seed that is no whole number of 0 or more.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError("must be a whole number of 0 or more", field="seed", value=seed)
    random = np.random.default_rng(seed)
    made = {}
    for name, kind in program.inputs.items():
        dtype = _dtype(kind)
        drawn = random.standard_normal(kind.shape) if dtype.kind == "f" else np.ones(kind.shape)
        made[name] = drawn.astype(dtype)
    return made


def checked_inputs(program: Program, given: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """An array for each input of the program, of its shape and element type.

    Real numbers are rounded to the element type of a float; integers and truth values must fit as they are.

    Raises:
        UnknownNameError: an array for an input that the model lacks.
        InputError: a missing array, a wrong shape, or elements of another kind.
    """
    for name in given:
        if name not in program.inputs:
            raise UnknownNameError("input of this model", str(name), program.inputs, file=program.file, field="inputs")
    missing = [name for name in program.inputs if name not in given]
    if missing:
        raise InputError("is missing", file=program.file, field=f"inputs.{missing[0]}",
                         remedy=f"give arrays for {', '.join(program.inputs)}, or none at all")  # fmt: skip
    return {name: _checked(given[name], kind, name, program.file) for name, kind in program.inputs.items()}


def _checked(value: ArrayLike, kind: TensorType, name: str, file: str) -> Array:
    field, dtype = f"inputs.{name}", _dtype(kind)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"is no array ({error})", file=file, field=field) from None
    if array.shape != kind.shape:
        raise InputError(f"must have the shape {kind.shape}", file=file, field=field, value=array.shape)
    fits = array.dtype.kind in "fiu" if dtype.kind == "f" else (
        array.dtype.kind in "iub" and np.array_equal(array.astype(dtype), array)
    )  # fmt: skip
    if not fits:
        raise InputError(f"must hold {ELEMENTS[kind.element].name}", file=file, field=field, value=str(array.dtype))
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _dtype(kind: TensorType) -> np.dtype[Any]:
    dtype: np.dtype[Any] = onnx.helper.tensor_dtype_to_np_dtype(kind.element)
    return dtype
