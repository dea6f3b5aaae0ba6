"""Where random numbers come from: a seed, or standard normals that the caller supplies for exact tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError

__all__ = ["Draws", "Floats", "Normals", "Purpose", "Seed", "Stage", "generator", "standard_normals"]

Floats = NDArray[np.floating[Any]]
Seed = int | np.random.Generator
Stage = Literal["input", "weight", "output"]
Purpose = Literal["product", "columns", "program", "read"]

_UNIT = np.float32(2.0**-32)
_TURN = np.float32(2 * math.pi * 2.0**-32)


def generator(seed: Seed, purpose: Purpose) -> np.random.Generator:
    """The generator of a seed: another one for each purpose, so that one seed may serve them all. Generators pass.

    Raises:
        InputError: a seed that is no whole number of 0 or more.
    """
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("must be a whole number of 0 or more, or a generator", field="seed", value=seed)
    return np.random.default_rng((seed, get_args(Purpose).index(purpose)))


def standard_normals(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float32) -> Floats:
    """Independent standard normals.

    Single precision takes the transform of Box and Muller (Annals of Mathematical Statistics 29, 1958), whose
    functions NumPy computes many at a time: some three times the speed of its rejection method. The tail ends at 6.8.
    """
    if dtype != np.float32:
        return rng.standard_normal(shape)
    size = math.prod(shape)
    half = (size + 1) // 2
    raw: NDArray[np.uint32] = rng.bit_generator.random_raw(half).view(np.uint32)
    radius = raw[:half].astype(np.float32)
    radius += np.float32(0.5)
    radius *= _UNIT
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.maximum(radius, np.float32(0), out=radius)
    np.sqrt(radius, out=radius)
    angle = raw[half:].astype(np.float32)
    angle *= _TURN
    out = np.empty(2 * half, np.float32)
    np.multiply(radius, np.cos(angle), out=out[:half])
    np.multiply(radius, np.sin(angle), out=out[half:])
    return out[:size].reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Normals:
    """Standard normals to use instead of drawing, each (vectors, inputs) or (vectors, outputs).

    Where signs are handled separately, ``weight`` (and with a digital sum ``output``) is (2, vectors, outputs):
    negative inputs first. A vector that bound management repeats takes the same normals again.
    """

    input: Floats | None = None
    weight: Floats | None = None
    output: Floats | None = None


class Draws:
    """Random numbers of one product."""

    def __init__(self, seed: Seed | None, given: Normals | None, purpose: Purpose = "product") -> None:
        if given is not None and seed is not None:
            raise InputError("cannot be given beside normals", field="seed", value=seed)
        self.given = given
        self._seed, self._purpose = seed, purpose
        self._rng: np.random.Generator | None = None

    @property
    def rng(self) -> np.random.Generator:
        """The generator.

        Raises:
            InputError: neither a seed nor all normals were given.
        """
        if self._rng is None:
            if self._seed is None:
                raise InputError("is missing, and this crossbar is random", field="seed",
                                 remedy="give a seed, or normals for every stage")  # fmt: skip
            self._rng = generator(self._seed, self._purpose)
        return self._rng

    def normals(self, stage: Stage, like: Floats, rows: NDArray[np.intp] | None, turn: int = 0) -> Floats:
        """Normals of a stage in the shape of ``like``, whose rows are vectors ``rows`` of the batch (None for all)."""
        given = None if self.given is None else getattr(self.given, stage)
        if given is None:
            return standard_normals(self.rng, like.shape, like.dtype)
        chosen: Floats = np.asarray(given[turn] if np.ndim(given) == 3 else given, like.dtype)
        chosen = chosen if rows is None else chosen[rows]
        if chosen.shape != like.shape:
            raise InputError(f"must be of shape {like.shape}", field=f"normals.{stage}", value=chosen.shape)
        return chosen

    def uniforms(self, like: Floats) -> Floats:
        """Numbers of [0, 1) in the shape of ``like``."""
        drawn: Floats = self.rng.random(like.shape, dtype=like.dtype)
        return drawn
