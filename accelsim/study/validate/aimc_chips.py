"""Rows of `chips` about analog chips: peaks, efficiency, power, times and areas from their bundled descriptions.

- ``throughput``, ``efficiency``, ``power_at_peak``: every tile full and busy in the read mode of the condition, which
  states phases ("one-phase"), or bits ("4b in, 6b out").
- ``mvm_latency_per_core``, ``energy_per_core_mvm``: one product of a full tile.
- ``n_cores``, ``array_rows`` and other counts are the structure itself.
- ``lstm_step_*``: one more step of an LSTM of 504 cells on 50 inputs; ``resnet9_layer_input_*``: one vector through a
  convolution of 256 by 256 channels and 3 x 3 taps, the largest of such a network, without the link off the chip.
- ``rnnt_n_chips`` and ``rnnt_weights`` are what the weights of that network take, ``rnnt_decoder_frame_time`` its five
  integrations one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.aimc.derive import component_areas_mm2
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.hardware.technology.converters import adc_area_um2, adc_energy_pj
from accelsim.hardware.technology.span import total
from accelsim.pipeline import AimcEvaluation, evaluate
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
_RNNT_INTEGRATIONS = 5
_LSTM_STEPS = (2, 66)
_ADCS_OF_A_UNIT = 8.0
_CROSSBARS_OF_A_UNIT = 8.0


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
    words = ("calibrates it" if _calibrates(arch, metric, condition) else record.raw("use") or "validate", condition,
             record.raw("confidence"))  # fmt: skip
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
    ("isaac", "dac_power", ""),
    ("isaac", "shift_add_power", ""),
    ("isaac", "sigmoid_power", ""),
    ("isaac", "sigmoid_area", ""),
    ("isaac", "crossbar_area", ""),
    ("isaac", "crossbar_read_latency", ""),
    ("isaac", "adc_sample_rate", ""),
    ("isaac", "tiles_per_chip", ""),
)
"""(architecture, metric, part of the condition) of the figures that set constants, and of those derived from them."""


def _calibrates(arch: AimcArchitecture, metric: str, condition: str) -> bool:
    return any(arch.name == name and metric == each and part in condition for name, each, part in _CALIBRATED)


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


def _rnnt_chips(arch: AimcArchitecture) -> float:
    """Chips for the 45 M weights of that network, a few more than they hold; unknown cuts are not counted."""
    per_chip = arch.n_tiles / arch.chips.value * arch.mvm_macs
    return float(round(45e6 / per_chip))


_Predict = Callable[[AimcArchitecture], float]
_METRICS: dict[str, _Predict] = {
    "throughput": lambda arch: arch.peak_ops_per_s,
    "efficiency": lambda arch: arch.peak_ops_per_s / arch.peak_power_w,
    "peak_sustained_efficiency": lambda arch: arch.peak_ops_per_s / arch.peak_power_w,
    "power_efficiency": lambda arch: arch.peak_ops_per_s / arch.peak_power_w,
    "power_at_peak": lambda arch: arch.peak_power_w,
    "chip_power": lambda arch: arch.peak_power_w,
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
    ("analog-34tile", "rnnt_weights"): lambda arch: float(arch.n_tiles * arch.mvm_macs),
    ("analog-34tile", "rnnt_n_chips"): _rnnt_chips,
    ("isaac", "adc_energy_per_convert"): lambda arch: adc_energy_pj(8, 1.2e9, arch.node_nm.value) * 1e-12,
    ("isaac", "adc_power"): lambda arch: _ADCS_OF_A_UNIT * 1.2e9 * adc_energy_pj(8, 1.2e9, arch.node_nm.value) * 1e-12,
    ("isaac", "adc_area_each"): lambda arch: 1e-6 * adc_area_um2(
        adc_energy_pj(8, 1.28e9, arch.node_nm.value), 1.28e9, arch.node_nm.value),
    ("isaac", "crossbar_read_latency"): lambda arch: arch.tile.integration.seconds(1),
    ("isaac", "crossbar_area"):
        lambda arch: _CROSSBARS_OF_A_UNIT * arch.tile.rows.value * arch.tile.columns.value
        * arch.tile.crossbar.cell_area_um2.value * 1e-6,
    ("isaac", "dac_power"): lambda arch: _CROSSBARS_OF_A_UNIT * arch.tile.rows.value * arch.tile.dac.energy_pj.value
        * 1e-12 / arch.tile.integration.seconds(1),
    ("isaac", "shift_add_power"): lambda arch: 4 * arch.tile.digital.energy_pj_per_add.value * 1e-12 * 1e9,
    ("isaac", "sigmoid_power"):
        lambda arch: arch.digital.energy_pj_special.value * 1e-12 * arch.digital.clock_hz.value,
    ("isaac", "sigmoid_area"): lambda arch: arch.digital.area_mm2.value / arch.digital.lanes.value,
    ("isaac", "tiles_per_chip"): lambda arch: arch.digital.count.value,
    ("isaac", "tile_power"): lambda arch: arch.peak_power_w / arch.digital.count.value,
    ("neurram", "area_rram"):
        lambda arch: arch.tile.rows.value * arch.tile.columns.value * arch.tile.crossbar.cell_area_um2.value * 1e-6,
    ("neurram", "area_array_drivers"): lambda arch: arch.tile.adc.per_tile.value * arch.tile.adc.area_um2.value * 1e-6,
}  # fmt: skip
