"""A tile: weights as pairs of devices, programmed once, drifting, read through a crossbar, compensated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.numerics.analog.devices import Device, checked_time_s
from accelsim.numerics.analog.draws import Floats, Purpose, Seed, generator, standard_normals
from accelsim.numerics.analog.mvm import Crossbar, checked_matrix
from accelsim.numerics.analog.parameters import CrossbarParameters

__all__ = ["PairNormals", "ProgrammedWeights", "Tile", "program", "program_tile"]


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
    """

    device: Device
    weights: Floats
    memory: Floats

    def at(self, time_s: float, seed: Seed | None = None, normals: PairNormals | None = None) -> Floats:
        """Weights as they are read ``time_s`` after programming.

        Raises:
            InputError: before programming, or neither a seed nor normals.
            UnsupportedError: a time of which the device knows nothing.
        """
        time_s = checked_time_s(time_s)
        kind = self.weights.dtype.type
        largest = float(np.abs(self.weights).max())
        scale = self.device.g_max_us / largest if largest else 1.0
        plus = self.weights > 0
        z = _chosen(plus, normals) if normals is not None else _drawn(seed, "read", 1, self.weights)[0]
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
    largest = float(np.abs(target).max())
    kind, scale = target.dtype.type, device.g_max_us / largest if largest else 1.0
    drawn = iter(_drawn(seed, "program", 2 * (programming is None) + (drift is None), target))
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


def _drawn(seed: Seed | None, purpose: Purpose, count: int, like: Floats) -> list[Floats]:
    if not count:
        return []
    if seed is None:
        raise InputError("is missing, and devices are random", field="seed", remedy="give a seed, or all normals")
    rng = generator(seed, purpose)
    return [standard_normals(rng, like.shape, like.dtype) for _ in range(count)]


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
        return self.baseline / _mean_output(now, seed)


def program_tile(weights: ArrayLike, device: Device, parameters: CrossbarParameters, seed: Seed) -> Tile:
    """Program weights within -1 .. 1 into a tile, and read the baseline of its drift compensation.

    Raises:
        InputError: weights that are no finite matrix, or out of range.
    """
    rng = generator(seed, "program")
    programmed = program(checked_matrix(weights, "weights", limit=1.0), device, rng)
    return Tile(programmed, parameters, _mean_output(_crossbar(programmed.weights, parameters, device), rng))


def _crossbar(weights: Floats, parameters: CrossbarParameters, device: Device) -> Crossbar:
    return Crossbar(weights, parameters, device.g_max_us, weight_limit=float("inf"))


def _mean_output(crossbar: Crossbar, seed: Seed) -> float:
    mean = float(np.abs(crossbar.columns(seed)).mean())
    if mean == 0:
        raise InputError("reads nothing but zeros, which no drift compensation can scale", field="weights")
    return mean
