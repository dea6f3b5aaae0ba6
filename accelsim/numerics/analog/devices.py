"""Resistive devices: what is programmed, what it drifts to, and how it is read.

A device answers three questions about conductances in uS, with standard normals that the caller draws: what a target
becomes when it is programmed, which memory of the target decides about later, and what is read at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Protocol

import numpy as np

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.numerics.analog.draws import Floats
from accelsim.numerics.analog.fits import Curve, LogThenPolynomial, Polynomial, PowerLaw

__all__ = ["DEVICES", "Device", "IdealDevice", "Pcm", "RelaxingDevice", "checked_time_s", "device_named"]

_DAY_S = 86400.0


class Device(Protocol):
    """A kind of device; ``g_max_us`` is the conductance of the largest weight."""

    @property
    def g_max_us(self) -> float: ...

    def programmed_us(self, target_us: Floats, z: Floats, /) -> Floats:
        """What a target becomes right after programming."""
        ...

    def memory(self, target_us: Floats, z: Floats, /) -> Floats:
        """What is kept of a target: whatever `read_us` needs beside the programmed conductance."""
        ...

    def read_us(self, programmed_us: Floats, memory: Floats, time_s: float, z: Floats, /) -> Floats:
        """What is read ``time_s`` after programming."""
        ...


def checked_time_s(time_s: float) -> float:
    """``time_s``, which counts from the end of programming.

    Raises:
        InputError: before programming, or no finite number.
    """
    if not math.isfinite(time_s):
        raise InputError("must be a finite number", field="time_s", value=time_s)
    if time_s < 0:
        raise InputError("is before programming", field="time_s", value=time_s,
                         remedy="give seconds after programming, 0 or more")  # fmt: skip
    return float(time_s)


def _check(device: object, where: str, zero_allowed: tuple[str, ...] = ()) -> None:
    for each in fields(device):  # type: ignore[arg-type]
        value = getattr(device, each.name)
        if isinstance(value, float | int) and not isinstance(value, bool):
            fine = math.isfinite(value) and (value > 0 or (value == 0 and each.name in zero_allowed))
            if not fine:
                raise InputError("must be positive", file=where, field=each.name, value=value)


@dataclass(frozen=True, slots=True)
class IdealDevice:
    """A device that keeps its target."""

    g_max_us: float = 25.0

    def __post_init__(self) -> None:
        _check(self, "ideal device")

    def programmed_us(self, target_us: Floats, _z: Floats, /) -> Floats:
        return target_us

    def memory(self, target_us: Floats, _z: Floats, /) -> Floats:
        return target_us

    def read_us(self, programmed_us: Floats, _memory: Floats, _time_s: float, _z: Floats, /) -> Floats:
        return programmed_us


@dataclass(frozen=True, slots=True)
class Pcm:
    """Phase-change memory (formulas: docs/analog.md).

    Attributes:
        programming_us: standard deviation of programming in uS over the relative target, at ``reference_g_max_us``.
        drift_mean, drift_std: of the drift exponent, over the relative target.
        read: relative 1/f noise, over the relative programmed conductance.
        t0_s: when the first reading was, which drift counts from; ``t_read_s`` is how long one takes.
        programming_scale, drift_scale, read_scale: factors; 0 turns one off.
    """

    g_max_us: float
    programming_us: Curve
    drift_mean: Curve
    drift_std: Curve
    read: Curve
    t0_s: float
    t_read_s: float
    reference_g_max_us: float
    programming_scale: float = 1.0
    drift_scale: float = 1.0
    read_scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "PCM", ("programming_scale", "drift_scale", "read_scale"))

    def programming_std_us(self, target_us: Floats) -> Floats:
        """Standard deviation of programming."""
        sigma = self.programming_us(target_us / target_us.dtype.type(self.g_max_us))
        sigma *= target_us.dtype.type(self.programming_scale * self.g_max_us / self.reference_g_max_us)
        return sigma

    def programmed_us(self, target_us: Floats, z: Floats) -> Floats:
        sigma = self.programming_std_us(target_us)
        sigma *= z
        sigma += target_us
        return np.maximum(sigma, 0, out=sigma)

    def memory(self, target_us: Floats, z: Floats) -> Floats:
        """Drift exponents."""
        relative = target_us / target_us.dtype.type(self.g_max_us)
        exponent = self.drift_std(relative)
        exponent *= z
        exponent += self.drift_mean(relative)
        np.abs(exponent, out=exponent)
        exponent *= target_us.dtype.type(self.drift_scale)
        return exponent

    def drifted_us(self, programmed_us: Floats, exponent: Floats, time_s: float) -> Floats:
        """Conductance without read noise."""
        factor = exponent * programmed_us.dtype.type(-math.log1p(time_s / self.t0_s))
        np.exp(factor, out=factor)
        factor *= programmed_us
        return factor

    def read_share(self, programmed_us: Floats, time_s: float) -> Floats:
        """Standard deviation of a reading, relative to the drifted conductance."""
        accumulated = math.log((time_s + self.t0_s + self.t_read_s) / (2 * self.t_read_s))
        share = self.read(programmed_us / programmed_us.dtype.type(self.g_max_us))
        share *= programmed_us.dtype.type(self.read_scale * math.sqrt(accumulated))
        return share

    def read_us(self, programmed_us: Floats, memory: Floats, time_s: float, z: Floats) -> Floats:
        share = self.read_share(programmed_us, time_s)
        share *= z
        share += programmed_us.dtype.type(1)
        share *= self.drifted_us(programmed_us, memory, time_s)
        return np.maximum(share, 0, out=share)


@dataclass(frozen=True, slots=True)
class RelaxingDevice:
    """A device without a law of drift: how far conductances have spread at the times at which they were measured.

    Attributes:
        times_s: ascending; the first counts as programming.
        std_us: for each time, the standard deviation in uS over the relative target, at ``reference_g_max_us``.
        shift_us: for each time, the mean difference from the target; empty for none.
    """

    g_max_us: float
    times_s: tuple[float, ...]
    std_us: tuple[Curve, ...]
    reference_g_max_us: float
    shift_us: tuple[Curve, ...] = ()
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, "device", ("scale",))
        if not self.times_s or any(a >= b for a, b in zip(self.times_s, self.times_s[1:], strict=False)):
            raise InputError("must be ascending times", field="times_s", value=self.times_s)
        if len(self.std_us) != len(self.times_s) or len(self.shift_us) not in (0, len(self.times_s)):
            raise InputError("must have a curve for each time", field="std_us, shift_us", value=len(self.std_us))

    def _spread_us(self, target_us: Floats, index: int, z: Floats) -> Floats:
        relative = target_us / target_us.dtype.type(self.g_max_us)
        found = self.std_us[index](relative) * z
        found *= target_us.dtype.type(self.scale)
        if self.shift_us:
            found += self.shift_us[index](relative)
        found *= target_us.dtype.type(self.g_max_us / self.reference_g_max_us)
        found += target_us
        return np.maximum(found, 0, out=found)

    def programmed_us(self, target_us: Floats, z: Floats) -> Floats:
        return self._spread_us(target_us, 0, z)

    def memory(self, target_us: Floats, _z: Floats, /) -> Floats:
        """The targets: later spreads are measured from them."""
        return target_us

    def read_us(self, _programmed_us: Floats, memory: Floats, time_s: float, z: Floats, /) -> Floats:
        """What is read at one of ``times_s``.

        Raises:
            UnsupportedError: another time, of which nothing was measured.
        """
        if time_s not in self.times_s:
            raise UnsupportedError(f"was not measured; {', '.join(f'{each:g}' for each in self.times_s)} were",
                                   field="time_s", value=time_s, remedy="ask for one of them")  # fmt: skip
        return self._spread_us(memory, self.times_s.index(time_s), z)


_PCM_2019 = Pcm(
    g_max_us=25.0,
    programming_us=Polynomial((0.26348, 1.9650, -1.1731)),
    drift_mean=LogThenPolynomial(-0.0155, 0.0244, 0.049, 0.1),
    drift_std=LogThenPolynomial(-0.0125, -0.0059, 0.008, 0.045),
    read=PowerLaw(0.0088, 0.65, 1e-3, 0.2),
    t0_s=20.0,
    t_read_s=250e-9,
    reference_g_max_us=25.0,
)
_HERMES_DRIFT = LogThenPolynomial(-0.0387, -0.0182, 0.0720, 0.13, 0.0945, Polynomial((0.0736, -0.0126, -0.0436)))

DEVICES: Mapping[str, Device] = MappingProxyType(
    {
        "ideal": IdealDevice(),
        # Nandakumar et al., ICECS 2019; Joshi et al., Nature Communications 11, 2020.
        "pcm": _PCM_2019,
        # Le Gallo et al., Nature Electronics 6, 2023: the 64-core HERMES chip, one device a polarity, as fitted in
        # aihwkit 1.1 (MIT); with two devices programmed after Vasilopoulos et al., IEEE TED 70, 2023.
        "pcm-hermes": Pcm(
            g_max_us=10.35,
            programming_us=Polynomial((0.15781817, 2.32443916, -2.16310839, 0.68841818)),
            drift_mean=_HERMES_DRIFT,
            drift_std=LogThenPolynomial(-0.0120, -0.0023, 0.0124, 0.04, 0.3039, Polynomial((0.0104, 0.0116, -0.0165))),
            read=LogThenPolynomial(
                -0.0078, 0.0038, 0.0179, 0.04, 0.1591, Polynomial((0.0088, 0.0768, -0.1352, 0.0664))
            ),
            t0_s=200.0,
            t_read_s=512e-9,
            reference_g_max_us=10.35,
        ),
        "pcm-hermes-2": Pcm(
            g_max_us=20.7,
            programming_us=Polynomial((0.16603222, 4.71806468, -8.48101252, 4.68961419)),
            drift_mean=_HERMES_DRIFT,
            drift_std=LogThenPolynomial(-0.0117, -0.0057, 0.0091, 0.04, 0.3055, Polynomial((0.0073, 0.0093, -0.0118))),
            read=LogThenPolynomial(-0.0117, -0.0069, 0.015, 0.04, 0.16, Polynomial((0.0123, 0.0211, -0.0280, 0.0069))),
            t0_s=300.0,
            t_read_s=512e-9,
            reference_g_max_us=20.7,
        ),
        # Wan et al., Nature 608, 2022 (NeuRRAM), deviations read off its figures for aihwkit 1.1 (MIT).
        "reram-neurram": RelaxingDevice(
            g_max_us=40.0,
            times_s=(1.0, _DAY_S, 2 * _DAY_S),
            std_us=(
                Polynomial((0.348, 16.030, -43.853, 45.393, -16.815)),
                Polynomial((0.701, 22.086, -50.773, 47.095, -16.458)),
                Polynomial((0.782, 20.274, -43.507, 37.062, -11.934)),
            ),
            reference_g_max_us=40.0,
        ),
    }
)
"""Name -> device."""


def device_named(name: str) -> Device:
    """The device called ``name``.

    Raises:
        UnknownNameError: there is none ("did you mean").
    """
    if name not in DEVICES:
        raise UnknownNameError("device", name, DEVICES)
    return DEVICES[name]
