"""Rows of `chips` about analog chips: peaks, efficiency, power, times and areas from their bundled descriptions.

- ``throughput``, ``efficiency``, ``power_at_peak``: every tile full and busy in the read mode of the condition, which
  states phases ("one-phase"), or bits ("4b in, 6b out").
- ``mvm_latency_per_core``, ``energy_per_core_mvm``: one product of a full tile.
- ``n_cores``, ``array_rows`` and other counts are the structure itself.
- ``lstm_step_*``: one more step of an LSTM of 504 cells on 50 inputs; ``resnet9_layer_input_*``: one vector through a
  convolution of 256 by 256 channels and 3 x 3 taps, the largest of such a network, without the link off the chip.
- ``rnnt_weights`` and ``rnnt_pcm_devices`` are what the mapping of MLPerf's RNN-T holds on the stated chips, its
  ``rnnt_power`` that of audio samples that follow each other; ``rnnt_decoder_frame_time`` is five integrations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from accelsim.cost.aimc import programming
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.aimc.derive import component_areas_mm2
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.hardware.technology.span import total
from accelsim.pipeline import AimcEvaluation, evaluate
from accelsim.study.validate.aimc_isaac import ISAAC_FIGURES, ISAAC_SET, chip_power_w
from accelsim.study.validate.aimc_tiles import busy_tile, ratio_complaint
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record
from accelsim.workload.load import load_workload

__all__ = ["ANALOG_CHIPS", "analog_architecture", "analog_comparisons"]

ANALOG_CHIPS: Mapping[str, str] = {
    "hermes64": "hermes-64core", "hermescore": "hermes-64core", "ibm34tile": "analog-34tile", "isaac": "isaac",
    "neurramnature2022": "neurram", "neurram": "neurram",
}  # fmt: skip
"""Names of analog chips, without case and marks -> the bundled architecture."""

_SCALES = {
    "": 1.0, "TOPS": 1e12, "GOPS": 1e9, "TOPS/W": 1e12, "GOPS/W": 1e9, "W": 1.0, "mW": 1e-3, "ns": 1e-9, "us": 1e-6,
    "uJ": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "nm": 1.0, "mm2": 1.0, "um2": 1e-6, "TOPS/mm2": 1e12, "GOPS/mm2": 1e9,
    "GOPS/s/mm2": 1e9, "GHz": 1e9, "GS/s": 1e9,
}  # fmt: skip
_WORDS = {"one": 1, "two": 2, "four": 4}
_RNNT_INTEGRATIONS, _RNNT_SAMPLES = 5, 8
_LSTM_STEPS = (2, 66)


def analog_architecture(chip: str, named: str) -> AimcArchitecture | None:
    """The description that a row names, or that of its chip; None where it is no analog one."""
    name = named or ANALOG_CHIPS.get(re.sub(r"[^a-z0-9]", "", chip.lower()), "")
    description = _description(name) if name else None
    return description if isinstance(description, AimcArchitecture) else None


@cache
def _description(name: str) -> object:
    return load_architecture(name).description


def analog_comparisons(record: Record, arch: AimcArchitecture) -> Iterator[Comparison]:
    """What is predicted beside the row's figure; SI units scaled to the row's."""
    metric, unit = record.text("metric"), record.raw("unit")
    if unit == "x":
        raise ratio_complaint(record)
    if (reason := _WITHOUT.get((arch.name, metric))) is not None:
        raise UnsupportedError(reason, file=record.source, field="metric", value=metric)
    if unit not in _SCALES:
        raise UnknownNameError("unit of an analog chip's figure", unit, _SCALES, file=record.source, field="unit")
    measured = record.figure("value")
    if measured is None:
        return
    core = record.text("chip").lower().endswith("core")
    predict = (_CORE if core else {}).get(metric) or _METRICS.get(metric) or _PARTS.get((arch.name, metric))
    if predict is None:
        known = sorted({*_METRICS, *(name for chip, name in _PARTS if chip == arch.name)})
        raise UnsupportedError("does not follow from a description of the chip", file=record.source, field="metric",
                               value=metric, remedy=f"predicted: {', '.join(known)}")  # fmt: skip
    condition = record.raw("condition")
    predicted = predict(_in_mode(arch, condition, record))
    words = (_use(arch, record), condition, record.raw("confidence"))
    label = f"{metric} [{unit}]" if unit else metric
    yield Comparison(label, predicted / _SCALES[unit], measured, note="; ".join(filter(None, words)))


def _in_mode(arch: AimcArchitecture, condition: str, record: Record) -> AimcArchitecture:
    """The chip in the read mode that a condition describes; as it stands where it describes none."""
    text = condition.lower()
    bits = [re.search(rf"(\d+)b {side}", text) for side in ("in", "out")]
    phases = re.search(r"(\w+)[- ]phase", text)
    modes = arch.tile.read_modes
    fitting = list(modes)
    if phases:
        count = int(phases[1]) if phases[1].isdecimal() else _WORDS.get(phases[1])
        fitting = [name for name in fitting if modes[name].n_phases == count]
    for found, field in zip(bits, ("input_bits", "output_bits"), strict=True):
        if found:
            fitting = [name for name in fitting if getattr(modes[name], field).value == int(found[1])]
    if not phases and not any(bits):  # a peak is that of the fastest mode
        fitting = sorted(modes, key=lambda name: _interval_s(arch, name))[:1]
    if not fitting:
        raise InputError("describes no read mode of the chip", file=record.source, field="condition", value=condition,
                         remedy=f"it has {', '.join(modes)}")  # fmt: skip
    name = arch.tile.read_mode if arch.tile.read_mode in fitting else fitting[0]
    return arch.model_copy(update={"tile": arch.tile.model_copy(update={"read_mode": name})})


def _interval_s(arch: AimcArchitecture, mode: str) -> float:
    return arch.tile.model_copy(update={"read_mode": mode}).interval_s(arch.tile.outputs)


_CALIBRATED = (
    ("hermes-64core", "lstm_step_latency", ""),
    ("hermes-64core", "lstm_step_energy", ""),
    ("hermes-64core", "throughput", "one-phase"),
    ("hermes-64core", "efficiency", "one-phase"),
    ("hermes-64core", "mvm_latency_per_core", "one-phase"),
    ("hermes-64core", "energy_per_core_mvm", "one-phase"),
    ("hermes-64core", "power_at_peak", "one-phase"),
    ("hermes-64core", "compute_density", "core"),
    ("analog-34tile", "peak_sustained_efficiency", ""),
    ("neurram", "throughput", "1b in"),
    ("neurram", "throughput", "6b in, 8b out, one-phase"),
    ("neurram", "efficiency", "1b in"),
    ("neurram", "efficiency", "5b in, 7b out, one-phase"),
    ("neurram", "area_rram", ""),
    ("neurram", "area_array_drivers", ""),
    ("neurram", "area_neurons", ""),
    *(("isaac", name, "") for name in ISAAC_SET),
)  # fmt: skip
"""(architecture, metric, part of the condition) of the figures that set constants, and of those derived from them."""


_STRUCTURE = (
    "n_cores", "n_tiles", "node", "array_rows", "array_cols", "clock", "tile_pcm_cols", "tile_pcm_rows",
    "input_vector_length", "integration_step", "rnnt_n_chips",
)  # fmt: skip
"""Figures that a description restates; an area is one where it is stated."""


def _use(arch: AimcArchitecture, record: Record) -> str:
    """What a figure was to the description: it set a constant, is the structure itself, or neither."""
    metric, condition = record.text("metric"), record.raw("condition")
    if any(arch.name == name and metric == each and part in condition for name, each, part in _CALIBRATED):
        return "calibrates it"
    if metric in _STRUCTURE or (metric == "chip_area" and arch.area_mm2 is not None):
        return "is stated in it"
    return record.raw("use") or "validate"


def _area_mm2(arch: AimcArchitecture) -> float:
    if arch.area_mm2 is not None:
        return arch.area_mm2.value
    return total(component_areas_mm2(arch).values()).value


def _core_area_mm2(arch: AimcArchitecture) -> float:
    parts = component_areas_mm2(arch)
    return sum(parts[name].value for name in ("crossbar", "adc", "tile", "buffer") if name in parts) / arch.n_tiles


def _core_density(arch: AimcArchitecture) -> float:
    """The fastest mode, which the publication of a core quotes."""
    fastest = min(_interval_s(arch, name) for name in arch.tile.read_modes)
    return 2.0 * arch.mvm_macs / fastest / _core_area_mm2(arch)


def _lstm_step(arch: AimcArchitecture) -> tuple[float, float]:
    """(seconds, joules) of a step among many."""
    short, long = (_evaluated(arch, "lstm", steps=steps, input_size=50, hidden_size=504) for steps in _LSTM_STEPS)
    steps = _LSTM_STEPS[1] - _LSTM_STEPS[0]
    return (long.latency_s - short.latency_s) / steps, (long.energy.total_j - short.energy.total_j) / steps


def _layer_input(arch: AimcArchitecture) -> tuple[float, float]:
    """(seconds, joules) of one vector through one layer."""
    near = arch.model_copy(update={"off_chip": arch.off_chip.model_copy(update={
        "bandwidth_bytes_per_s": arch.off_chip.bandwidth_bytes_per_s.replaced(1e15),
        "latency_s": arch.off_chip.latency_s.replaced(0.0),
        "energy_pj_per_byte": arch.off_chip.energy_pj_per_byte.replaced(0.0),
    })})  # fmt: skip
    found = _evaluated(near, "conv", in_channels=256, out_channels=256, kernel=3, height=3, width=3, padding=0)
    return found.latency_s, found.energy.total_j


def _evaluated(arch: AimcArchitecture, workload: str, **sizes: Any) -> AimcEvaluation:
    found = evaluate(load_workload(workload, **sizes), Architecture(arch, f"architecture {arch.name}"))
    assert isinstance(found, AimcEvaluation)
    return found


def _rnnt(arch: AimcArchitecture, samples: int = 1) -> AimcEvaluation:
    """MLPerf's RNN-T; an error where its weights do not fit the stated chips."""
    return _evaluated(arch, "rnnt-mlperf", batch=samples)


def _rnnt_weights(arch: AimcArchitecture) -> float:
    cuts = [matrix.cut for matrix in _rnnt(arch).mapping.matrices.values()]
    return float(sum(cut.groups * cut.inputs * cut.outputs for cut in cuts))


def _rnnt_power_w(arch: AimcArchitecture) -> float:
    """So many samples in a row that one more changes it by less than a percent, whatever their length."""
    power = _rnnt(arch, _RNNT_SAMPLES).power_w
    assert power is not None
    return power


_Predict = Callable[[AimcArchitecture], float]
_METRICS: dict[str, _Predict] = {
    "throughput": lambda arch: arch.peak_ops_per_s,
    "efficiency": lambda arch: arch.peak_ops_per_s / arch.peak_power_w,
    "peak_sustained_efficiency": lambda arch: arch.peak_ops_per_s / arch.peak_power_w,
    "power_efficiency": lambda arch: arch.peak_ops_per_s / chip_power_w(arch),
    "power_at_peak": lambda arch: arch.peak_power_w,
    "chip_power": chip_power_w,
    "mvm_latency_per_core": lambda arch: arch.tile.interval_s(arch.tile.outputs),
    "energy_per_core_mvm": lambda arch: arch.peak_power_w * arch.tile.interval_s(arch.tile.outputs) / arch.n_tiles,
    "compute_density": lambda arch: arch.peak_ops_per_s / _area_mm2(arch),
    "chip_area": _area_mm2,
    "n_cores": lambda arch: float(arch.n_tiles),
    "n_tiles": lambda arch: arch.n_tiles / arch.chips.value,
    "node": lambda arch: arch.node_nm.value,
    "array_rows": lambda arch: arch.tile.rows.value,
    "array_cols": lambda arch: arch.tile.columns.value,
    "adc_sample_rate": lambda arch: arch.tile.adc_rate_hz(),
}
_CORE: dict[str, _Predict] = {
    "compute_density": _core_density,
    "clock": lambda arch: 1.0 / arch.tile.integration.step_s.value,
}
_WITHOUT: Mapping[tuple[str, str], str] = {
    ("hermes-64core", "adc_pitch"): "is a matter of layout, which is not described",
    ("hermes-64core", "adc_lsb_time"): "is a step of an oscillator, which runs during integration and sets no time",
    ("analog-34tile", "rnnt_samples_per_s_per_W"): "goes with the length of a sample, which is not stated",
}
"""(architecture, metric) -> why it does not follow."""
_PARTS: dict[tuple[str, str], _Predict] = {
    ("hermes-64core", "lstm_step_latency"): lambda arch: _lstm_step(arch)[0],
    ("hermes-64core", "lstm_step_energy"): lambda arch: _lstm_step(arch)[1],
    ("hermes-64core", "resnet9_layer_input_latency"): lambda arch: _layer_input(arch)[0],
    ("hermes-64core", "resnet9_layer_input_energy"): lambda arch: _layer_input(arch)[1],
    ("analog-34tile", "n_pcm_devices"): lambda arch: arch.n_tiles / arch.chips.value * arch.tile.device_count,
    ("analog-34tile", "tile_pcm_cols"): lambda arch: arch.tile.columns.value,
    ("analog-34tile", "tile_pcm_rows"): lambda arch: arch.tile.rows.value,
    ("analog-34tile", "input_vector_length"): lambda arch: float(arch.tile.inputs),
    ("analog-34tile", "integration_step"): lambda arch: arch.tile.interval_s(arch.tile.outputs),
    ("analog-34tile", "rnnt_decoder_frame_time"):
        lambda arch: _RNNT_INTEGRATIONS * arch.tile.interval_s(arch.tile.outputs),
    ("analog-34tile", "rnnt_weights"): _rnnt_weights,
    ("analog-34tile", "rnnt_pcm_devices"): lambda arch: float(programming(_rnnt(arch).mapping, arch).devices),
    ("analog-34tile", "rnnt_power"): _rnnt_power_w,
    ("analog-34tile", "rnnt_n_chips"): lambda arch: _rnnt(arch).arch.chips.value,
    **{("isaac", name): predict for name, predict in ISAAC_FIGURES.items()},
    ("neurram", "area_rram"): lambda arch: busy_tile(arch).area_um2["crossbar"] * 1e-6,
    ("neurram", "area_array_drivers"): lambda arch: busy_tile(arch).area_um2["array_drivers"] * 1e-6,
    ("neurram", "area_neurons"): lambda arch: busy_tile(arch).area_um2["adc"] * 1e-6,
}  # fmt: skip
