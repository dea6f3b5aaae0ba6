"""Where random numbers come from: a seed, or standard normals that the caller supplies for exact tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnsupportedError

__all__ = [
    "Draws", "Floats", "NormalSource", "Normals", "Purpose", "RecordedNormals", "Seed", "Stage", "Supplied",
    "generator", "standard_normals", "within",
]  # fmt: skip

Floats = NDArray[np.floating[Any]]
NormalSource = Mapping[str, ArrayLike] | Callable[[str, tuple[int, ...]], ArrayLike]
"""Standard normals by name, or a function of name and shape that gives them."""
Stage = Literal["input", "weight", "output"]
Purpose = Literal["product", "columns", "program", "read"]

_UNIT = np.float32(2.0**-32)
_TURN = np.float32(2 * math.pi * 2.0**-32)


@dataclass(frozen=True, slots=True)
class Supplied:
    """Takes the place of a seed: every draw has a name below ``scope``, and ``source`` gives its normals."""

    source: NormalSource
    scope: str = ""

    def within(self, name: str) -> Supplied:
        """The same source for names below ``name``."""
        return Supplied(self.source, f"{self.scope}{name}/")

    def take(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> Floats:
        """The normals called ``name`` here.

        Raises:
            UnknownNameError: a mapping does not hold them.
            InputError: they have another shape, or hold what is not finite.
        """
        full = f"{self.scope}{name}"
        if isinstance(self.source, Mapping):
            if full not in self.source:
                raise InputError("is missing", field=f"normals {full}", value=f"shape {shape}",
                                 remedy="RecordedNormals keeps what a run asks for, by name")  # fmt: skip
            given = self.source[full]
        else:
            given = self.source(full, shape)
        found: Floats = np.asarray(given, dtype)
        if found.shape != shape:
            raise InputError(f"must be of shape {shape}", field=f"normals {full}", value=found.shape)
        if not np.isfinite(found).all():
            raise InputError("holds NaN or infinities", field=f"normals {full}")
        return found


class RecordedNormals:
    """A source that draws from a seed and keeps what it gave: names and shapes, or a run to repeat.

    Attributes:
        arrays: what was asked for, by name.
    """

    def __init__(self, seed: int = 0) -> None:
        self.arrays: dict[str, NDArray[np.float32]] = {}
        self._rng = np.random.default_rng(seed)

    def __call__(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if name not in self.arrays or self.arrays[name].shape != shape:
            self.arrays[name] = self._rng.standard_normal(shape, dtype=np.float32)
        return self.arrays[name]


Seed = int | np.random.Generator | Supplied


def within(seed: Seed, name: str) -> Seed:
    """``seed``; supplied normals by their names below ``name``."""
    return seed.within(name) if isinstance(seed, Supplied) else seed


def generator(seed: Seed, purpose: Purpose) -> np.random.Generator | Supplied:
    """The generator of a seed: another one for each purpose, so that one seed may serve them all. Others pass.

    Raises:
        InputError: a seed that is no whole number of 0 or more.
    """
    if isinstance(seed, np.random.Generator | Supplied):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError("must be a whole number of 0 or more, or a generator", field="seed", value=seed)
    return np.random.default_rng((seed, get_args(Purpose).index(purpose)))


def standard_normals(
    rng: np.random.Generator | Supplied, shape: tuple[int, ...], dtype: Any = np.float32, name: str = ""
) -> Floats:
    """Independent standard normals; ``name`` is what a supplier knows them by.

    Single precision takes the transform of Box and Muller (Annals of Mathematical Statistics 29, 1958), whose
    functions NumPy computes many at a time: some three times the speed of its rejection method. The tail ends at 6.8.
    """
    if isinstance(rng, Supplied):
        return rng.take(name, shape, dtype)
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

    Where signs are handled separately, ``weight`` (and with a digital sum ``output``) is (turns, vectors, outputs):
    negative inputs first; in four phases, positive weights first. A vector that bound management repeats takes the
    same normals again.
    """

    input: Floats | None = None
    weight: Floats | None = None
    output: Floats | None = None


class Draws:
    """Random numbers of one product, of which each pass has ``turns`` integrations."""

    def __init__(
        self, seed: Seed | None, given: Normals | None, purpose: Purpose = "product", turns: int = 1
    ) -> None:  # fmt: skip
        if given is not None and seed is not None:
            raise InputError("cannot be given beside normals", field="seed", value=seed)
        self.given = given
        self._seed, self._purpose, self._turns = seed, purpose, turns
        self._rng: np.random.Generator | Supplied | None = None
        self._taken: dict[Stage, Floats] = {}

    @property
    def rng(self) -> np.random.Generator | Supplied:
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

    @property
    def supplied(self) -> bool:
        """Whether the caller supplies normals, each stage its own."""
        return self.given is not None or isinstance(self._seed, Supplied)

    def normals(self, stage: Stage, like: Floats, rows: NDArray[np.intp] | None, turn: int = 0) -> Floats:
        """Normals of a stage in the shape of ``like``, whose rows are vectors ``rows`` of the batch (None for all)."""
        given = None if self.given is None else getattr(self.given, stage)
        if given is None and isinstance(self._seed, Supplied):
            given = self._from(self._seed, stage, like, rows)
        if given is None:
            return standard_normals(self.rng, like.shape, like.dtype)
        chosen: Floats = np.asarray(given[turn] if np.ndim(given) == 3 else given, like.dtype)
        chosen = chosen if rows is None else chosen[rows]
        if chosen.shape != like.shape:
            raise InputError(f"must be of shape {like.shape}", field=f"normals.{stage}", value=chosen.shape)
        return chosen

    def _from(self, source: Supplied, stage: Stage, like: Floats, rows: NDArray[np.intp] | None) -> Floats:
        """All turns and vectors at once; the first pass of a product, which has all rows, asks for them."""
        if stage not in self._taken:
            assert rows is None
            turns = 1 if stage == "input" else self._turns
            self._taken[stage] = source.take(stage, (turns, *like.shape) if turns > 1 else like.shape, like.dtype)
        return self._taken[stage]

    def uniforms(self, like: Floats) -> Floats:
        """Numbers of [0, 1) in the shape of ``like``.

        Raises:
            UnsupportedError: normals are supplied, which do not round.
        """
        if isinstance(self.rng, Supplied):
            raise UnsupportedError("does not serve stochastic rounding", field="normals", remedy="give a seed")
        drawn: Floats = self.rng.random(like.shape, dtype=like.dtype)
        return drawn
