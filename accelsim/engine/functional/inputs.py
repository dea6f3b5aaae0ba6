"""What a model is run on: the user's arrays, checked, or drawn numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.engine.functional.program import Given, Program
from accelsim.errors import InputError, UnknownNameError

__all__ = ["checked_inputs", "drawn_inputs"]

Array = NDArray[Any]


def drawn_inputs(program: Program, seed: int) -> dict[str, Array]:
    """Standard normal numbers for inputs of floats, in file order, places in tables for tokens, ones for all others.

    Raises:
        InputError: a seed that is no whole number of 0 or more.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError("must be a whole number of 0 or more", field="seed", value=seed)
    random = np.random.default_rng(seed)
    made = {}
    for name, given in program.inputs.items():
        drawn: Array = np.ones(given.shape)
        if given.below:
            drawn = random.integers(0, given.below, given.shape)
        elif given.dtype.kind == "f":
            drawn = random.standard_normal(given.shape)
        made[name] = drawn.astype(given.dtype)
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


def _checked(value: ArrayLike, given: Given, name: str, file: str) -> Array:
    field, dtype = f"inputs.{name}", given.dtype
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"is no array ({error})", file=file, field=field) from None
    if array.shape != given.shape:
        raise InputError(f"must have the shape {given.shape}", file=file, field=field, value=array.shape)
    fits = array.dtype.kind in "fiu" if dtype.kind == "f" else (
        array.dtype.kind in "iub" and np.array_equal(array.astype(dtype), array)
    )  # fmt: skip
    if not fits:
        raise InputError(f"must hold {dtype.name}", file=file, field=field, value=str(array.dtype))
    if given.below and not ((array >= 0) & (array < given.below)).all():
        raise InputError(f"must be 0 to {given.below - 1}, rows of its table", file=file, field=field,
                         value=(int(array.min()), int(array.max())))  # fmt: skip
    with np.errstate(over="ignore"):
        return array.astype(dtype)
