"""A tile: weights as pairs of devices, programmed once, drifting, read through a crossbar, compensated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.numerics.analog.devices import Device, checked_time_s
from accelsim.numerics.analog.draws import Floats, Purpose, Seed, generator, standard_normals, within
from accelsim.numerics.analog.mvm import Crossbar, checked_matrix
from accelsim.numerics.analog.parameters import CrossbarParameters

__all__ = ["PairNormals", "ProgrammedWeights", "Tile", "mean_output", "program", "program_cells", "program_tile"]


@dataclass(frozen=True, slots=True, eq=False)
class PairNormals:
    """Standard normals of the two devices of each weight, each in the shape of the weights."""

    plus: Floats
    minus: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ProgrammedWeights:
    """Weights as they were programmed.

    The two errors of a pair are merged: drift acts on the signed weight, which only one of its devices holds.

    Attributes:
        device: of both polarities.
        weights: (outputs, inputs), errors included, in units of the largest weight that was asked for.
        memory: what the device that holds each weight kept of its target (drift exponents of a PCM).
        unit_us: conductance of a weight of 1; None where the largest programmed weight takes the largest conductance.
    """

    device: Device
    weights: Floats
    memory: Floats
    unit_us: float | None = None

    def at(self, time_s: float, seed: Seed | None = None, normals: PairNormals | None = None) -> Floats:
        """Weights as they are read ``time_s`` after programming.

        Raises:
            InputError: before programming, or neither a seed nor normals.
            UnsupportedError: a time of which the device knows nothing.
        """
        time_s = checked_time_s(time_s)
        kind = self.weights.dtype.type
        scale = self.unit_us if self.unit_us is not None else _scale(self.weights, self.device)
        plus = self.weights > 0
        z = _chosen(plus, normals) if normals is not None else _drawn(seed, "read", ["read"], self.weights)[0]
        held = np.abs(self.weights)
        held *= kind(scale)
        read = self.device.read_us(held, self.memory, time_s, z)
        found: Floats = np.copysign(read, self.weights)
        found *= kind(1 / scale)
        return found


def program(
    weights: ArrayLike,
    device: Device,
    seed: Seed | None = None,
    *,
    programming: PairNormals | None = None,
    drift: PairNormals | None = None,
) -> ProgrammedWeights:
    """Program weights into pairs of devices; the largest weight takes the largest conductance.

    Args:
        weights: (outputs, inputs), finite.
        device: of both polarities.
        seed: or a generator; or, for exact tests, the normals of both devices of each pair.

    Raises:
        InputError: weights that are no finite matrix, or no randomness.
    """
    target = checked_matrix(weights, "weights")
    kind, scale = target.dtype.type, _scale(target, device)
    names = ["program/plus", "program/minus"] if programming is None else []
    drawn = iter(_drawn(seed, "program", [*names, *(["program/drift"] if drift is None else [])], target))
    z_plus, z_minus = (next(drawn), next(drawn)) if programming is None else (programming.plus, programming.minus)
    held = target * kind(scale)
    plus_us, minus_us = np.maximum(held, 0), np.maximum(-held, 0)
    signed = device.programmed_us(plus_us, z_plus.astype(target.dtype, copy=False))
    signed = signed - device.programmed_us(minus_us, z_minus.astype(target.dtype, copy=False))
    plus = signed > 0
    z = next(drawn) if drift is None else _chosen(plus, drift).astype(target.dtype, copy=False)
    memory = device.memory(np.where(plus, plus_us, minus_us), z)
    signed *= kind(1 / scale)
    return ProgrammedWeights(device, signed, memory)


def program_cells(levels: ArrayLike, device: Device, seed: Seed, *, pairs: bool) -> ProgrammedWeights:
    """Program cells of which 1 is the largest conductance: signed ones as pairs of devices, else one device each.

    Args:
        levels: (lines, inputs) within -1 .. 1 of pairs, else within 0 .. 1.

    Raises:
        InputError: levels that are no finite matrix, or out of range.
    """
    target = checked_matrix(levels, "levels", limit=1.0)
    if not pairs and float(target.min()) < 0:
        raise InputError("must be 0 or more where a cell is one device", field="levels", value=float(target.min()))
    signs = ("plus", "minus") if pairs else ("plus",)
    drawn = _drawn(seed, "program", [*(f"program/{each}" for each in signs), "program/drift"], target)
    kind, g_max = target.dtype.type, device.g_max_us
    held = target * kind(g_max)
    signed = device.programmed_us(np.maximum(held, 0), drawn[0])
    if pairs:
        signed = signed - device.programmed_us(np.maximum(-held, 0), drawn[1])
    asked = np.where(signed > 0, np.maximum(held, 0), np.maximum(-held, 0))
    memory = device.memory(asked, drawn[-1])
    return ProgrammedWeights(device, signed * kind(1 / g_max), memory, g_max)


def _scale(weights: Floats, device: Device) -> float:
    """Conductance of a weight of 1, in uS, where the largest weight takes the largest conductance."""
    largest = float(np.abs(weights).max())
    return device.g_max_us / largest if largest else 1.0


def _drawn(seed: Seed | None, purpose: Purpose, names: list[str], like: Floats) -> list[Floats]:
    if not names:
        return []
    if seed is None:
        raise InputError("is missing, and devices are random", field="seed", remedy="give a seed, or all normals")
    rng = generator(seed, purpose)
    return [standard_normals(rng, like.shape, like.dtype, name) for name in names]


def _chosen(plus: NDArray[np.bool_], normals: PairNormals) -> Floats:
    if normals.plus.shape != plus.shape or normals.minus.shape != plus.shape:
        raise InputError(f"must be of shape {plus.shape}", field="normals", value=normals.plus.shape)
    return np.where(plus, normals.plus, normals.minus)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A programmed tile behind its converters.

    Attributes:
        programmed: what the devices hold.
        parameters: of the crossbar.
        baseline: mean absolute output for the identity matrix right after programming.
    """

    programmed: ProgrammedWeights
    parameters: CrossbarParameters
    baseline: float

    def read_at(self, time_s: float | None, seed: Seed) -> Crossbar:
        """The crossbar ``time_s`` after programming; None for right after it, before any reading noise."""
        weights = self.programmed.weights if time_s is None else self.programmed.at(time_s, seed)
        return _crossbar(weights, self.parameters, self.programmed.device)

    def compensation(self, now: Crossbar, seed: Seed) -> float:
        """Factor that makes up for the drift that all devices share: mean absolute output then over now.

        Raises:
            InputError: nothing is left to read.
        """
        return self.baseline / mean_output(now, within(seed, "compensation"))


def program_tile(weights: ArrayLike, device: Device, parameters: CrossbarParameters, seed: Seed) -> Tile:
    """Program weights within -1 .. 1 into a tile, and read the baseline of its drift compensation.

    Raises:
        InputError: weights that are no finite matrix, or out of range.
    """
    rng = generator(seed, "program")
    programmed = program(checked_matrix(weights, "weights", limit=1.0), device, rng)
    first = _crossbar(programmed.weights, parameters, device)
    return Tile(programmed, parameters, mean_output(first, within(rng, "baseline")))


def _crossbar(weights: Floats, parameters: CrossbarParameters, device: Device) -> Crossbar:
    return Crossbar(weights, parameters, device.g_max_us, weight_limit=float("inf"))


def mean_output(crossbar: Crossbar, seed: Seed) -> float:
    """Mean absolute output for the identity matrix as input.

    Raises:
        InputError: it is zero.
    """
    mean = float(np.abs(crossbar.columns(seed)).mean())
    if mean == 0:
        raise InputError("reads nothing but zeros, which no drift compensation can scale", field="weights")
    return mean
