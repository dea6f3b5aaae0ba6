"""Cases of crossbars: the product without randomness, its statistics, tiles over time, circuits, and cores of cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.numerics.analog import (
    CellCore,
    Converter,
    Crossbar,
    CrossbarParameters,
    nodal_currents,
    predicted_std,
    program_tile,
)
from accelsim.study.validate.aimc_devices import device_of
from accelsim.study.validate.arrays import Archive, deviation
from accelsim.study.validate.framework import Comparison

__all__ = ["circuit_figures", "crossbar_of", "noise_figures", "product_figures"]

_EXACT_SUFFIX = "ties_exact"
_PRODUCT, _CURRENT, _CORE = 1e-4, 1e-6, 1e-6
_SEED = 2023
_REPEATS = 2000
_WIRE_OHM = CrossbarParameters().wire_ohm
_OFF_SHARE = 0.01
"""Rmin / Rmax of the cells of the reference that do not close."""

_NUMBERS = {
    "inp_noise": "input_noise", "inp_asymmetry": "input_asymmetry", "nm_thres": "noise_threshold",
    "max_bm_factor": "largest_reduction", "max_bm_res": "largest_resolution_share",
    "w_noise": "weight_noise", "ir_drop": "ir_drop", "r_series": "series_resistance",
    "v_offset_w_min": "series_reference", "out_nonlinearity": "nonlinearity", "slope_calibration": "slope_calibration",
    "out_noise": "output_noise", "out_asymmetry": "output_asymmetry", "out_scale": "output_scale",
}  # fmt: skip
"""Parameters of the reference -> ours."""
_KINDS = {"NONE": "none", "PCM_READ": "pcm_read", "ADDITIVE_CONSTANT": "additive"}
_READ_ELSEWHERE = (
    "is_perfect", "mv_type", "inp_bound", "inp_res", "inp_sto_round", "out_bound", "out_res", "out_sto_round",
    "bound_management", "noise_management", "w_noise_type", "ir_drop_g_ratio", "bm_test_negative_bound",
)  # fmt: skip


def _converter(config: Mapping[str, Any], side: str) -> Converter:
    bound, step = float(config.get(f"{side}_bound", -1)), float(config.get(f"{side}_res", -1))
    if bound <= 0 or not np.isfinite(bound):
        return Converter()
    steps = None if step <= 0 else step if step > 1 else 1 / step
    return Converter(bound, steps, bool(config.get(f"{side}_sto_round", False)))


def crossbar_of(config: Mapping[str, Any]) -> CrossbarParameters:
    """The parameters of a case.

    Raises:
        UnsupportedError: an option that is on and that the README of the data does not define.
    """
    for name, value in config.items():
        if name not in _NUMBERS and name not in _READ_ELSEWHERE and value:
            raise UnsupportedError("is not modelled", field=f"config.{name}", value=value)
    kind = str(config.get("w_noise_type", "NONE"))
    if kind not in _KINDS:
        raise UnknownNameError("kind of weight noise", kind, _KINDS, field="config.w_noise_type")
    dac, adc = _converter(config, "inp"), _converter(config, "out")
    numbers = {ours: float(config[theirs]) for theirs, ours in _NUMBERS.items() if theirs in config}
    managed = str(config.get("bound_management", "NONE")).lower()
    settings: dict[str, Any] = {
        **numbers,
        "dac": dac, "adc": adc,
        "perfect": bool(config.get("is_perfect", False)),
        "sign_handling": str(config.get("mv_type", "ONE_PASS")).lower(),
        "noise_management": str(config.get("noise_management", "NONE")).lower(),
        "bound_management": managed if np.isfinite(adc.bound) else "none",
        "clip_negative": bool(config.get("bm_test_negative_bound", True)),
        "weight_noise_kind": _KINDS[kind],
    }  # fmt: skip
    if settings.get("ir_drop"):
        # The reference states the ratio of conductances; with its wires that is a largest conductance.
        settings["ir_drop_g_max_us"] = 1e6 / (_WIRE_OHM * float(config["ir_drop_g_ratio"]))
    return CrossbarParameters(**settings)


def _config(case: Mapping[str, Any]) -> Mapping[str, Any]:
    config = case.get("config")
    if not isinstance(config, dict):
        raise InputError("is missing", field="config")
    return config


def _double(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64)


def product_figures(archive: Archive, case: Mapping[str, Any]) -> Iterable[Comparison]:
    """A case without randomness; ties that are exact in binary must give identical outputs."""
    name = case["id"]
    w, x, y = (archive.array(f"{name}.{part}") for part in "WXY")
    found = Crossbar(_double(w), crossbar_of(_config(case)), weight_limit=float("inf")).product(_double(x)).outputs
    if name.endswith(_EXACT_SUFFIX):
        yield Comparison("identical", int((found.astype(np.float32) == y).sum()), y.size)
    else:
        yield deviation("outputs", found, y, _PRODUCT, least_scale=1.0)


def noise_figures(archive: Archive, case: Mapping[str, Any]) -> Iterable[Comparison]:
    """Repeated products, or a tile over time."""
    kind = case.get("kind")
    if kind == "mvm_noise":
        return _spread(archive, case)
    if kind == "tile_drift":
        return _tile(archive, case)
    raise UnknownNameError("kind of case", str(kind), ("mvm_noise", "tile_drift"), field="kind")


def _spread(archive: Archive, case: Mapping[str, Any]) -> Iterator[Comparison]:
    """Root mean square, over the outputs of each vector, of the standard deviation: predicted and drawn."""
    name, parameters = case["id"], crossbar_of(_config(case))
    w, x = archive.array("noise.W"), archive.array("noise.X")
    measured = np.sqrt((_double(archive.array(f"noise.{name}.std")) ** 2).mean(axis=1))
    crossbar = Crossbar(w, parameters, weight_limit=float("inf"))
    try:
        predicted = np.sqrt((predicted_std(crossbar, x) ** 2).mean(axis=1))
    except UnsupportedError:
        predicted = None  # no closed form: only drawn
    drawn = crossbar.product(np.repeat(x, _REPEATS, axis=0), seed=_SEED).outputs
    spread = _double(drawn).reshape(len(x), _REPEATS, -1).std(axis=1)
    simulated = np.sqrt((spread**2).mean(axis=1))
    for vector, value in enumerate(measured):
        if predicted is not None:
            yield Comparison("predicted_std", float(predicted[vector]), float(value))
        yield Comparison("simulated_std", float(simulated[vector]), float(value))


def _tile(archive: Archive, case: Mapping[str, Any]) -> Iterator[Comparison]:
    """Output error of some programmings of one tile: right after it, then at each time."""
    name, compensated = case["id"], bool(case.get("gdc"))
    stored = {key: archive.array(f"tile.{name}.{key}") for key in ("rel_err_mean", "w_err_std_mean", "alpha_mean")}
    times = [None, *map(float, archive.array("tile.times_s"))]
    runs = [_programming(archive, case, times, seed) for seed in range(int(case.get("n_rep", 12)))]
    found = np.mean(runs, axis=0)
    for index in range(len(times)):
        yield Comparison("output_error", float(found[index, 0]), float(stored["rel_err_mean"][index]))
        yield Comparison("weight_error", float(found[index, 1]), float(stored["w_err_std_mean"][index]))
        if compensated and index:
            yield Comparison("compensation", float(found[index, 2]), float(stored["alpha_mean"][index - 1]))


def _programming(
    archive: Archive, case: Mapping[str, Any], times: list[float | None], seed: int
) -> list[tuple[float, float, float]]:
    """For each time: relative output error, standard deviation of weights from the target, compensation."""
    w, x = archive.array("tile.W"), archive.array("tile.X")
    rng = np.random.default_rng((_SEED, seed))
    scale = max(1.0, float(np.abs(w).max()))
    device = device_of({"model": "pcm_like", **case})
    tile = program_tile(w / np.float32(scale), device, crossbar_of(_config(case)), rng)
    ideal, figures = x @ w.T, []
    for time_s in times:
        now = tile.read_at(time_s, rng)
        factor = tile.compensation(now, rng) if case.get("gdc") and time_s is not None else 1.0
        outputs = now.product(x, rng).outputs * (factor * scale)
        error = float(np.linalg.norm(outputs - ideal) / np.linalg.norm(ideal))
        figures.append((error, float((now.weights * factor * scale - w).std()), factor))
    return figures


def circuit_figures(archive: Archive, case: Mapping[str, Any]) -> Iterable[Comparison]:
    """Currents of a resistive crossbar, or outputs of a core of cells."""
    name, kind = case["id"], case.get("kind")
    if kind == "resistive_crossbar":
        ohms = {f"{wire}put_wire_ohm": float(case[f"R_{wire}_wire"]) for wire in ("in", "out")}
        found = nodal_currents(archive.array(f"{name}_G"), archive.array(f"{name}_V"), **ohms)
        exact = archive.array(f"{name}_I_exact")
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.nan_to_num(np.abs(found - exact) / np.abs(exact), nan=0.0)
        worst = int(errors.argmax())
        yield Comparison("current_a", float(found[worst]), float(exact[worst]), _CURRENT, f"worst of {exact.size}")
    elif kind == "crosssim_core":
        outputs = core_of(case).product(archive.array(f"{name}_W"), archive.array(f"{name}_X").T).T
        yield deviation("outputs", outputs, archive.array(f"{name}_Y"), _CORE)
    else:
        raise UnknownNameError("kind of case", str(kind), ("resistive_crossbar", "crosssim_core"), field="kind")


def core_of(case: Mapping[str, Any]) -> CellCore:
    """The core of cells of a case.

    Raises:
        UnknownNameError: a style, pairing or ADC that the README of the data does not define.
    """
    styles = {("BALANCED", "ONE_SIDED"): "one_sided", ("BALANCED", "TWO_SIDED"): "two_sided",
              ("BITSLICED", "ONE_SIDED"): "bit_sliced"}  # fmt: skip
    key = (str(case.get("style", "BALANCED")), str(case.get("balanced_style", "ONE_SIDED")))
    if key not in styles:
        raise UnknownNameError("style of core", " ".join(key), [" ".join(each) for each in styles], field="style")
    adcs = {"QuantizerADC": "uniform", "SignMagnitudeADC": "sign_magnitude"}
    adc = str(case.get("adc_model") or "QuantizerADC")
    if adc not in adcs:
        raise UnknownNameError("ADC", adc, adcs, field="adc_model")
    slices, weight_bits = int(case.get("num_slices", 1)), int(case.get("weight_bits", 0))
    ranges = case.get("cal") or []
    pairs = ranges if ranges and isinstance(ranges[0], list) else [ranges] * slices if ranges else []
    # A pair holds the sign in which of its cells is on, so that a one-sided cell needs a bit less than the weight.
    cell_bits = case.get("cell_bits", max(weight_bits - (styles[key] == "one_sided"), 0))
    settings: dict[str, Any] = {"style": styles[key], "adc_levels": adcs[adc]}
    return CellCore(
        **settings, weight_bits=weight_bits, cell_bits=int(cell_bits), slices=slices,
        dac_bits=int(case.get("dac_bits", 0)), adc_bits=int(case.get("adc_bits", 0)),
        adc_ranges=tuple((float(low), float(high)) for low, high in pairs),
        off_share=0.0 if case.get("inf_onoff", True) else _OFF_SHARE,
    )  # fmt: skip
