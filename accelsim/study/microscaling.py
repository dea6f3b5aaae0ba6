"""The microscaling study: which block size and which scale format for FP4, and what each costs.

Smaller blocks should follow the numbers better. With UE4M3 scales they do worse below some sigma, since scales of small
blocks fall below what the format resolves; with UE5M3 they don't. Errors are those of the emulator on random numbers
(`monte_carlo_error`), of closed theory for normal ones (`accelsim.study.block_theory`), and of real weights. Blocks
of the size of the units of `mx-npu` are also run there.

Source: Is Finer Better? The Block-Size Anomaly of Microscaling, arXiv 2601.19026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import load_architecture
from accelsim.numerics import FORMATS, Float, cast, quantize
from accelsim.pipeline import evaluate
from accelsim.study.block_theory import crossover_sigma, relative_error
from accelsim.workload.load import load_workload

__all__ = [
    "BLOCKS", "DISTRIBUTIONS", "SCALE_FORMATS", "SIGMAS", "BlockCost", "Crossover", "ErrorPoint", "MicroscalingStudy",
    "WeightError", "monte_carlo_error", "run_study", "weight_errors",
]  # fmt: skip

FloatArray = NDArray[np.float64]

SCALE_FORMATS = ("fp4_ue4m3", "fp4_ue4m3_s", "fp4_ue5m3", "fp4_ue5m3_s", "mxfp4")
"""FP4 with an UE4M3 or UE5M3 scale, each also with a tensor scale (_s), and with an E8M0 scale."""
BLOCKS = (4, 8, 16, 32, 64, 128)
SIGMAS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)
_CROSSING = (4, 8, 16, 32, 64)
_CONCENTRATION = 1.0
"""Of von Mises numbers: between a uniform angle and a normal one."""
_EULER = 0.5772156649015329
_LEAST_WEIGHTS = 256


def _von_mises_deviation() -> float:
    angle = np.linspace(-pi, pi, 20001)
    density = np.exp(_CONCENTRATION * np.cos(angle))
    return sqrt(float((angle**2 * density).sum() / density.sum()))


DISTRIBUTIONS: Mapping[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "laplace": lambda rng, n: rng.laplace(0.0, 1 / sqrt(2), n),
    "logistic": lambda rng, n: rng.logistic(0.0, sqrt(3) / pi, n),
    "gumbel": lambda rng, n: rng.gumbel(-_EULER * sqrt(6) / pi, sqrt(6) / pi, n),
    "von-mises": lambda rng, n: rng.vonmises(0.0, _CONCENTRATION, n) / _von_mises_deviation(),
}
"""Numbers of mean 0 and standard deviation 1."""


@dataclass(frozen=True, slots=True)
class ErrorPoint:
    """Mean squared error / sigma^2 at one choice; ``theory`` is None where there is none."""

    distribution: str
    format: str
    block: int
    sigma: float
    monte_carlo: float
    theory: float | None


@dataclass(frozen=True, slots=True)
class Crossover:
    """The sigma below which blocks of ``block`` do worse than twice as long ones, by theory; None without one."""

    format: str
    block: int
    sigma: float | None


@dataclass(frozen=True, slots=True)
class WeightError:
    """Mean squared error / mean square of one weight tensor."""

    tensor: str
    elements: int
    sigma: float
    format: str
    block: int
    error: float


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What a choice costs: storage, and ``workload`` on `mx-npu` where it has a unit for it (None elsewhere)."""

    format: str
    block: int
    bits_per_element: float
    scale_bytes_per_1024: float
    unit: str | None
    latency_s: float | None
    energy_j: float | None


@dataclass(frozen=True, slots=True)
class MicroscalingStudy:
    """The results of `run_study`."""

    errors: tuple[ErrorPoint, ...]
    crossovers: tuple[Crossover, ...]
    weights: tuple[WeightError, ...]
    costs: tuple[BlockCost, ...]
    samples: int
    seed: int
    workload: str
    weight_file: str | None


@lru_cache(maxsize=2 * len(DISTRIBUTIONS))
def _numbers(distribution: str, samples: int, seed: int) -> FloatArray:
    return DISTRIBUTIONS[distribution](np.random.default_rng(seed), samples)


def monte_carlo_error(
    format: str, block: int, sigma: float, *, distribution: str = "normal", samples: int = 1 << 18, seed: int = 0
) -> float:
    """Mean squared error / sigma^2 of the emulator on BF16 numbers of a distribution of mean 0 and deviation ``sigma``.

    Raises:
        UnknownNameError: an unknown format or distribution.
    """
    if distribution not in DISTRIBUTIONS:
        raise UnknownNameError("distribution", distribution, DISTRIBUTIONS, field="distribution")
    if not 0 < sigma < np.inf:
        raise InputError("must be positive", field="sigma", value=sigma)
    whole = samples // max(block, 1) * block
    if whole < 1:
        raise InputError(f"must be at least a block of {block}", field="samples", value=samples)
    x = cast(_numbers(distribution, samples, seed)[:whole] * sigma, "bf16")
    found = quantize(x, format, block=block).dequantize()
    return float(np.mean((found.astype(np.float64) - x) ** 2) / sigma**2)


def _theory(format: str, distribution: str, block: int, sigma: float) -> float | None:
    form = FORMATS[format]
    known = distribution == "normal" and isinstance(form.scale, Float) and form.tensor_scale == "none"
    return relative_error(form.scale, block, sigma) if known and isinstance(form.scale, Float) else None


def weight_errors(
    tensors: Mapping[str, NDArray[np.floating]], formats: Sequence[str] = SCALE_FORMATS, blocks: Sequence[int] = BLOCKS
) -> tuple[WeightError, ...]:
    """Errors of weight tensors, each flattened and cut to whole blocks of the largest size."""
    found = []
    for name, tensor in tensors.items():
        flat = np.asarray(tensor, dtype=np.float32).reshape(-1)
        flat = flat[: flat.size // max(blocks) * max(blocks)]
        power = float(np.mean(flat.astype(np.float64) ** 2)) if flat.size else 0.0
        if flat.size < _LEAST_WEIGHTS or power == 0 or not np.isfinite(power):
            continue
        for format in formats:
            for block in blocks:
                value = quantize(flat, format, block=block).dequantize()
                error = float(np.mean((value.astype(np.float64) - flat) ** 2)) / power
                found.append(WeightError(name, flat.size, float(flat.std()), format, block, error))
    return tuple(found)


def _weights_of(path: Path, most: int) -> dict[str, NDArray[np.floating]]:
    """The largest float tensors of an ONNX file that have two or more dimensions."""
    import onnx
    from onnx import numpy_helper

    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf and onnx raise types of their own
        raise InputError(f"cannot be read as ONNX ({error})", file=path) from None
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    arrays = {
        each.name: numpy_helper.to_array(each)
        for each in model.graph.initializer if each.data_type in floats and len(each.dims) >= 2
    }  # fmt: skip
    large = sorted(arrays, key=lambda name: (-arrays[name].size, name))[:most]
    if not large:
        raise InputError("holds no weight tensors of two or more dimensions", file=path)
    return {name: arrays[name] for name in large}


def _costs(formats: Sequence[str], blocks: Sequence[int], workload: str) -> tuple[BlockCost, ...]:
    """Storage of each choice; latency and energy where `mx-npu` has a unit of that scale and block."""
    arch, graph = load_architecture("mx-npu"), load_workload(workload)
    units: dict[tuple[str, int | None], str] = {("mxfp4", FORMATS["mxfp4"].block): "mxfp4"}
    units |= {(format, FORMATS["nvfp4"].block): "nvfp4" for format in formats if format != "mxfp4"}
    runs = {unit: evaluate(graph, arch, unit) for unit in sorted(set(units.values()))}
    found = []
    for format in formats:
        form = FORMATS[format]
        for block in blocks:
            unit = units.get((format, block))
            run = runs[unit] if unit else None
            found.append(
                BlockCost(
                    format, block, form.element.bits + form.scale_bits / block, 1024 / block * form.scale_bits / 8,
                    unit, run.latency_s if run else None, run.energy_j if run else None,
                )
            )  # fmt: skip
    return tuple(found)


def run_study(
    *,
    weights: str | Path | None = None,
    formats: Sequence[str] = SCALE_FORMATS,
    blocks: Sequence[int] = BLOCKS,
    sigmas: Sequence[float] = SIGMAS,
    distributions: Sequence[str] = tuple(DISTRIBUTIONS),
    samples: int = 1 << 17,
    seed: int = 0,
    workload: str = "bert-base",
    most_tensors: int = 8,
) -> MicroscalingStudy:
    """Errors of every choice, crossovers, errors of real weights, and costs.

    Args:
        weights: an ONNX file, of which the ``most_tensors`` largest weight tensors are quantised.
        formats: FP4 formats that share scales by block.
        workload: what is run on `mx-npu`.

    Raises:
        InputError: a format that is none, or a file that cannot be read.
    """
    for format in formats:
        if format not in FORMATS or FORMATS[format].shared != "block":
            raise UnknownNameError("format with block scales", format, SCALE_FORMATS, field="formats")
    tensors = None if weights is None else _weights_of(Path(weights), most_tensors)
    errors = [
        ErrorPoint(
            distribution, format, block, sigma,
            monte_carlo_error(format, block, sigma, distribution=distribution, samples=samples, seed=seed),
            _theory(format, distribution, block, sigma),
        )
        for distribution in distributions for format in formats for block in blocks for sigma in sigmas
    ]  # fmt: skip
    crossing = []
    for format in formats:
        scale = FORMATS[format].scale
        if isinstance(scale, Float) and FORMATS[format].tensor_scale == "none":
            crossing += [Crossover(format, block, crossover_sigma(scale, block)) for block in _CROSSING]
    return MicroscalingStudy(
        tuple(errors), tuple(crossing), () if tensors is None else weight_errors(tensors, formats, blocks),
        _costs(formats, blocks, workload), samples, seed, workload, None if weights is None else str(weights),
    )  # fmt: skip
