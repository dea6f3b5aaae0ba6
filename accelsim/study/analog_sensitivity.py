"""What each non-ideality of analog tiles does to a model's outputs: alone, without it, and all at one strength.

A *part* is what a tile's setting has beyond the ideal one: converters, noises, wires, and what devices do. Each is put
alone into tiles that are ideal otherwise, and taken alone out of the tiles as described. Then each disturbance of
`nonidealities` is put alone into ideal tiles at one strength, a share of the range of what it disturbs, so that they
can be compared. What is random is run from several seeds, the same ones for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.engine.functional.analog_setting import AnalogSetting, analog_setting
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.numerics import analog
from accelsim.study.emulate import Inputs, Prepared, prepared
from accelsim.study.nonidealities import RANKED_AT, Ranges, disturbances
from accelsim.version import __version__

if TYPE_CHECKING:
    from accelsim.engine.functional.run import FunctionalRun
    from accelsim.numerics.quantisers import Quantiser
    from accelsim.pipeline import Evaluation

__all__ = ["AnalogSensitivity", "Disturbed", "Part", "analog_sensitivity", "parts_of"]

_ADC_BOUND = 10.0
"""Of the standard crossbar model, where the tiles' own ADCs have no bound."""
_MOST_REPEATS = 1000

Put = Callable[[AnalogSetting, AnalogSetting], AnalogSetting]
"""The second setting with a part of the first."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the tiles as described: the error of the outputs with it alone, and with all but it."""

    name: str
    alone: float
    without: float


@dataclass(frozen=True, slots=True)
class Disturbed:
    """The error of the outputs with one disturbance alone, at the common strength."""

    name: str
    error: float


@dataclass(frozen=True)
class AnalogSensitivity:
    """How a model's outputs depend on each non-ideality of the tiles that compute it.

    Errors are root mean squares of the deviation from FP32 over those of the FP32 outputs; of several outputs the
    root of the mean square, and of ``repeats`` draws.

    Attributes:
        evaluation: whose mapping said how.
        ideal: the error with ideal tiles, which formats of values and words of whole numbers leave.
        described: the error with the tiles as described.
        parts: the largest alone first.
        disturbed: at ``strength`` of the range of what is disturbed, the largest first.
        repeats: draws of what is random; ``runs`` of the model is what this took.
        notes: what a reader must know.
    """

    evaluation: Evaluation
    ideal: float
    described: float
    parts: tuple[Part, ...]
    disturbed: tuple[Disturbed, ...]
    strength: float
    repeats: int
    runs: int
    notes: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """All figures as plain data; those that are not finite are null."""
        run = self.evaluation
        return {
            "workload": run.workload.name, "architecture": run.architecture.name, "precision": run.choice.label,
            "ideal": _finite(self.ideal), "described": _finite(self.described),
            "parts": [{key: _finite(value) for key, value in asdict(each).items()} for each in self.parts],
            "strength": self.strength,
            "disturbed": [{key: _finite(value) for key, value in asdict(each).items()} for each in self.disturbed],
            "repeats": self.repeats, "runs": self.runs, "notes": list(self.notes), "version": __version__,
        }  # fmt: skip


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or math.isfinite(value) else None


def analog_sensitivity(
    evaluation: Evaluation, inputs: Inputs | None = None, seed: int = 0, time_s: float | None = None, *,
    repeats: int = 3, calibration: Inputs | Sequence[Inputs] | None = None, quantiser: str | Quantiser | None = None,
) -> AnalogSensitivity:  # fmt: skip
    """The sensitivities of ``evaluation``'s outputs. Arguments and errors as `accelsim.emulate`.

    Two runs of the model for each part, one for each of ten disturbances and two besides, each as often as ``repeats``
    says where it is random: at most 28 settings, and 60 to 70 runs, of the standard crossbar model with PCM.

    Raises:
        InputError: repeats that are no whole number of 1 or more.
        UnsupportedError: an architecture without analog tiles, or a workload that has no float among its outputs.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or not 1 <= repeats <= _MOST_REPEATS:
        raise InputError(f"must be a whole number of 1 to {_MOST_REPEATS}", field="repeats", value=repeats)
    description = evaluation.architecture.description
    if not isinstance(description, AimcArchitecture):
        raise UnsupportedError("has no analog tiles", file=f"architecture {description.name}", field="kind",
                               value=description.kind)  # fmt: skip
    described = analog_setting(description, time_s, seed)
    ideal = _ideal(described)
    task = prepared(evaluation, inputs, seed, calibration=calibration, quantiser=quantiser)
    errors = _Errors(task, description, repeats)
    parts = [
        Part(name, errors.of(put(described, ideal)), errors.of(put(ideal, described)))
        for name, put in parts_of(described).items()
    ]
    disturbed = [Disturbed(name, errors.of(each)) for name, each in _disturbed(ideal, described, description)]
    floor, whole = errors.of(ideal), errors.of(described)
    notes = (*task.notes, "errors of parts do not add up: what follows an op bends, rounds and cuts what it gets")
    return AnalogSensitivity(
        evaluation, floor, whole, tuple(sorted(parts, key=lambda each: -each.alone)),
        tuple(sorted(disturbed, key=lambda each: -each.error)), RANKED_AT, repeats, errors.runs, notes,
    )  # fmt: skip


class _Errors:
    """Runs a task on tiles of one setting after the other."""

    def __init__(self, task: Prepared, description: AimcArchitecture, repeats: int) -> None:
        self.task, self.description, self.repeats, self.runs = task, description, repeats, 0

    def of(self, setting: AnalogSetting) -> float:
        from accelsim.engine.functional.analog import analog_units

        squares = []
        for turn in range(self.repeats if _is_random(setting) else 1):
            self.runs += 1
            units = analog_units(self.description, replace(setting, seed=setting.seed + turn), self.task.scalings)
            squares.append(_error(self.task.run(units)) ** 2)
        return math.sqrt(sum(squares) / len(squares))


def _is_random(setting: AnalogSetting) -> bool:
    crossbar, device = setting.scheme.crossbar, setting.device
    scales: tuple[float, ...] = () if isinstance(device, analog.IdealDevice) else (1.0,)
    if isinstance(device, analog.Pcm):
        scales = device.programming_scale, device.drift_scale, device.read_scale
    return any((crossbar.input_noise, crossbar.output_noise, crossbar.weight_noise, *scales))


def _error(run: FunctionalRun) -> float:
    shares = []
    for name, found in run.outputs.items():
        exact = run.reference[name].astype(np.float64)
        signal = float(np.square(exact).sum())
        if run.reference[name].dtype.kind == "f" and signal > 0:
            shares.append(float(np.square(found - exact).sum()) / signal)
    if not shares:
        raise UnsupportedError("has no float among its outputs that is not zero", field="outputs",
                               value=list(run.outputs))  # fmt: skip
    return math.sqrt(sum(shares) / len(shares))


# Parts


def parts_of(described: AnalogSetting) -> Mapping[str, Put]:
    """The parts of a setting that are not as in the ideal one, by name."""
    ideal = _ideal(described)
    known = {**_CROSSBAR_PARTS, "ADC": _put_adc, **_device_parts(described)}
    return {name: put for name, put in known.items() if put(described, ideal) != ideal}


def _ideal(setting: AnalogSetting) -> AnalogSetting:
    """The same cells and phases, with nothing that is not ideal. Vectors are not repeated, for nothing clips."""
    scheme = setting.scheme
    clean = analog.CrossbarParameters(
        perfect=scheme.crossbar.perfect, noise_management=scheme.crossbar.noise_management,
        noise_threshold=scheme.crossbar.noise_threshold, sign_handling=scheme.crossbar.sign_handling,
        wire_ohm=scheme.crossbar.wire_ohm, ir_drop_g_max_us=scheme.crossbar.ir_drop_g_max_us,
        output_scale=scheme.crossbar.output_scale,
    )  # fmt: skip
    free = (analog.Converter(),) * len(scheme.converters)
    device: analog.Device = analog.IdealDevice(setting.device.g_max_us)
    if isinstance(setting.device, analog.Pcm):
        device = replace(setting.device, programming_scale=0.0, drift_scale=0.0, read_scale=0.0)
    return replace(setting, scheme=replace(scheme, crossbar=clean, converters=free), device=device)


def _put(*names: str) -> Put:
    """A part that is some fields of the crossbar."""

    def put(source: AnalogSetting, target: AnalogSetting) -> AnalogSetting:
        taken = {name: getattr(source.scheme.crossbar, name) for name in names}
        return replace(target, scheme=replace(target.scheme, crossbar=replace(target.scheme.crossbar, **taken)))

    return put


def _put_adc(source: AnalogSetting, target: AnalogSetting) -> AnalogSetting:
    whole = _put("adc", "bound_management", "largest_reduction", "largest_resolution_share")(source, target)
    return replace(whole, scheme=replace(whole.scheme, converters=source.scheme.converters))


_CROSSBAR_PARTS: Mapping[str, Put] = {
    "DAC": _put("dac"),
    "input noise": _put("input_noise"),
    "output noise": _put("output_noise"),
    "weight noise": _put("weight_noise", "weight_noise_kind"),
    "wires": _put("ir_drop"),
    "series resistance": _put("series_resistance", "series_reference"),
    "S-shape": _put("nonlinearity", "slope_calibration"),
    "input asymmetry": _put("input_asymmetry"),
    "output asymmetry": _put("output_asymmetry"),
}


def _put_scale(field: str) -> Put:
    def put(source: AnalogSetting, target: AnalogSetting) -> AnalogSetting:
        assert isinstance(source.device, analog.Pcm)
        assert isinstance(target.device, analog.Pcm)
        return replace(target, device=replace(target.device, **{field: getattr(source.device, field)}))

    return put


def _put_device(source: AnalogSetting, target: AnalogSetting) -> AnalogSetting:
    return replace(target, device=source.device)


def _device_parts(setting: AnalogSetting) -> Mapping[str, Put]:
    """A PCM's programming, drift and reading over time; of other devices whatever they do."""
    if not isinstance(setting.device, analog.Pcm):
        return {"device": _put_device}
    later = {"drift": _put_scale("drift_scale"), "1/f noise": _put_scale("read_scale")}
    return {"programming": _put_scale("programming_scale"), **(later if setting.time_s is not None else {})}


# Disturbances


def _disturbed(
    ideal: AnalogSetting, described: AnalogSetting, description: AimcArchitecture
) -> Iterator[tuple[str, AnalogSetting]]:
    """Ideal tiles with each disturbance at the common strength; steps of ADCs are those of each phase."""
    scheme = ideal.scheme
    bounds = (described.scheme.crossbar.adc.bound, *(each.bound for each in described.scheme.converters))
    bound = next((each for each in bounds if math.isfinite(each)), _ADC_BOUND)
    ranges = Ranges(bound, description.tile.inputs, ideal.device.g_max_us)
    clean = replace(scheme.crossbar, perfect=False, noise_management="abs_max")
    for name, at in disturbances(clean, ranges).items():
        crossbar = at(RANKED_AT)
        converters = tuple(replace(crossbar.adc, unsigned=each.unsigned) for each in described.scheme.converters)
        if name == "DAC steps" and scheme.shares is not None:
            continue  # inputs are whole numbers, applied without rounding
        yield name, replace(ideal, scheme=replace(scheme, crossbar=crossbar, converters=converters, full=False))
