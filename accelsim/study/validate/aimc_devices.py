"""Cases of phase-change devices: curves, the chain with recorded normals, statistics of many devices."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.analog import DEVICES, PairNormals, Pcm, Polynomial, ProgrammedWeights, program
from accelsim.study.validate.arrays import Archive, deviation
from accelsim.study.validate.framework import Comparison

__all__ = ["PARTS", "device_of"]

_MODELS = {"pcm_like": "pcm", "hermes_1dev": "pcm-hermes", "hermes_2dev": "pcm-hermes-2"}
_CHAIN = 3e-6
_STANDARD_ERRORS = 3.0
_POINTS = 1 << 16
"""Points of the quadrature that predicts statistics: its error is far below the standard error of 40000 samples."""


def device_of(case: Mapping[str, Any]) -> Pcm:
    """The device of a case: curves of drift and reading by its model, constants as the case states them.

    Raises:
        UnknownNameError: a model that the README of the data does not define.
    """
    model = str(case.get("model"))
    if model not in _MODELS:
        raise UnknownNameError("model of a device", model, _MODELS, field="model")
    base = DEVICES[_MODELS[model]]
    assert isinstance(base, Pcm)
    numbers = {"g_max": "g_max_us", "t_0": "t0_s", "t_read": "t_read_s", "prog_noise_scale": "programming_scale",
               "read_noise_scale": "read_scale", "drift_scale": "drift_scale",
               "prog_coeff_g_max_reference": "reference_g_max_us"}  # fmt: skip
    changed: dict[str, Any] = {ours: float(case[theirs]) for theirs, ours in numbers.items() if theirs in case}
    if "prog_coeff" in case:
        changed["programming_us"] = Polynomial(tuple(map(float, case["prog_coeff"])))
    return replace(base, **changed)


def _times(archive: Archive) -> list[float]:
    return [float(each) for each in archive.array("times_s")]


def _curves(archive: Archive, case: Mapping[str, Any]) -> Iterator[Comparison]:
    """Programming, drift and reading over the target conductance."""
    device, name = device_of(case), f"{case['model']}.table"
    g = archive.array(f"{name}.g_target").astype(np.float64)
    none, one = np.zeros_like(g), np.ones_like(g)
    mean = device.memory(g, none)
    drifted = np.array([device.drifted_us(g, mean, time) for time in _times(archive)])
    shares = np.array([device.read_share(g, time) for time in _times(archive)])
    found = {
        "sigma_prog": device.programming_std_us(g),
        "nu_mean": mean,
        "nu_std": device.memory(g, one) - mean,
        "g_drift_mean_nu": drifted,
        "sigma_read_total": drifted * shares,
    }
    for key, values in found.items():
        yield deviation(key, values, archive.array(f"{name}.{key}"), _CHAIN)


def _chain(archive: Archive, case: Mapping[str, Any]) -> Iterator[Comparison]:
    """Weights after programming and at each time, with the recorded normals; drift compensation of an ideal reading."""
    name = f"{case['model']}.pipe"

    def stored(key: str) -> NDArray[Any]:
        return archive.array(f"{name}.{key}")

    programmed = program(
        stored("W").astype(np.float64), device_of(case),
        programming=PairNormals(stored("z_prog_plus"), stored("z_prog_minus")),
        drift=PairNormals(stored("z_nu_plus"), stored("z_nu_minus")),
    )  # fmt: skip
    yield deviation("W_prog", programmed.weights, stored("W_prog"), _CHAIN)
    exponents = np.where(stored("W_prog") > 0, stored("nu_plus"), stored("nu_minus"))
    yield deviation("nu", programmed.memory, exponents, _CHAIN)
    times, z = _times(archive), stored("z_read")
    later = np.array([_at(programmed, time, z[index]) for index, time in enumerate(times)])
    yield deviation("W_drift", later, stored("W_drift"), _CHAIN)
    factors = np.abs(programmed.weights).mean() / np.abs(later).mean(axis=(1, 2))
    yield deviation("gdc_alpha_ideal_readout", factors, stored("gdc_alpha_ideal_readout"), _CHAIN)


def _at(programmed: ProgrammedWeights, time_s: float, z: NDArray[Any]) -> NDArray[Any]:
    return programmed.at(time_s, normals=PairNormals(z[0], z[1]))


@cache
def _points() -> tuple[NDArray[np.float64], ...]:
    """Three columns of normals that fill their space evenly (a Kronecker sequence)."""
    from scipy.special import ndtri

    ratio = 1.2207440846057596  # the root of x^4 = x + 1: the most even steps in three dimensions
    steps = (np.arange(_POINTS)[:, None] * [ratio**-1, ratio**-2, ratio**-3] + 0.5) % 1
    return tuple(ndtri(np.clip(steps[:, each], 1e-12, 1 - 1e-12)) for each in range(3))


def _statistics(archive: Archive, case: Mapping[str, Any]) -> Iterator[Comparison]:
    """Means and standard deviations of many devices of each target; equal within three standard errors."""
    device, name = device_of(case), f"{case['model']}.stat"
    columns = json.loads(str(archive.array("stat_columns")))
    samples, table = int(archive.array("stat_n_samples")), archive.array(f"{name}.table")
    for row, target in zip(table, archive.array(f"{name}.g_target"), strict=True):
        measured = dict(zip(columns, map(float, row), strict=True))
        for column, value in measured.items():
            if not column.startswith(("prog_err_mean", "nu_mean", "g_mean")):
                continue
            spread = column.replace("mean", "std")
            mean, std, kurtosis = _moments(device, float(target), column)
            offset = float(target) if column == "prog_err_mean" else 0.0
            error = _STANDARD_ERRORS * std / math.sqrt(samples)
            yield _within(column.replace("err_", ""), mean, value + offset, error)
            if spread in measured:
                yield _within(spread, std, measured[spread], error * math.sqrt(max(kurtosis - 1, 0)) / 2)


def _within(metric: str, predicted: float, measured: float, margin: float) -> Comparison:
    tolerance = margin / abs(measured) if measured else 0.0
    return Comparison(metric, predicted, measured, tolerance, "equal within three standard errors")


def _moments(device: Pcm, target_us: float, column: str) -> tuple[float, float, float]:
    """Mean, standard deviation and kurtosis of a column's quantity over devices of one target."""
    first, second, third = _points()
    target = np.full(_POINTS, target_us)
    programmed = device.programmed_us(target, first)
    if column == "prog_err_mean":
        values = programmed
    elif column == "nu_mean":
        values = device.memory(target, second)
    else:
        head, _, time_s = column.partition("t=")
        if not time_s:
            raise InputError("is no known statistic", field="stat_columns", value=head)
        values = device.read_us(programmed, device.memory(target, second), float(time_s), third)
    mean, std = float(values.mean()), float(values.std())
    kurtosis = float((((values - mean) / std) ** 4).mean()) if std > 0 else 3.0
    return mean, std, kurtosis


PARTS = {"table": _curves, "pipe": _chain, "stat": _statistics}
"""What is stored of each model -> the figures of it."""
