"""Fourier transforms, sampling, and what computes a weight from others."""

from __future__ import annotations

from math import prod

from accelsim.workload.ops import Elementwise
from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.program import TensorType
from accelsim.workload.torch.site import Site, converts
from accelsim.workload.vector_work import butterflies

__all__: list[str] = []

_ONE_AXIS = ("fft_fft", "fft_ifft", "fft_rfft", "fft_irfft", "fft_hfft", "fft_ihfft")
_TWO_AXES = ("fft_fft2", "fft_ifft2", "fft_rfft2", "fft_irfft2")
_MORE_AXES = ("fft_fftn", "fft_ifftn", "fft_rfftn", "fft_irfftn")
_TO_REAL = ("fft_irfft", "fft_hfft", "fft_irfft2", "fft_irfftn")

_BILINEAR, _NEAREST = 0, 1


@converts(*_ONE_AXIS, *_TWO_AXES, *_MORE_AXES)
def _fft(site: Site) -> None:
    """Along one axis after the other. Butterflies are counted for complex values, also where the input is real."""
    source, made = site.tensor("self", "input"), site.out()
    shape = source.type.shape
    axes = [axis % len(shape) for axis in _axes(site, len(shape))]
    # The side that holds the spectrum has every axis in full but the halved one.
    spectrum = shape if site.key in _TO_REAL else made.shape
    given = site.argument("n") if site.key in _ONE_AXIS else site.argument("s")
    lengths = [given] if isinstance(given, int) else list(given) if isinstance(given, tuple) else []
    total = 0
    for place, axis in enumerate(axes):
        length = lengths[place] if lengths else (made.shape[axis] if site.key in _TO_REAL else shape[axis])
        if not isinstance(length, int):
            raise site.unsupported("has a length that the data decides")
        total += prod(spectrum) // max(1, spectrum[axis]) * butterflies(length)
    site.elementwise("fft", (site.data(source),), elements=total)


def _axes(site: Site, rank: int) -> tuple[int, ...]:
    dim = site.argument("dim", -1 if site.key in _ONE_AXIS else (-2, -1) if site.key in _TWO_AXES else None)
    if dim is None:
        given = site.argument("s")
        return tuple(range(rank))[-len(given) :] if isinstance(given, tuple) else tuple(range(rank))
    return tuple(each for each in (dim if isinstance(dim, tuple) else (dim,)) if isinstance(each, int))


@converts("fft_fftshift", "fft_ifftshift")
def _shift(site: Site) -> None:
    site.move("roll", site.operands())


@converts("stft")
def _stft(site: Site) -> None:
    """Frames times a window, then one transform a frame: (batch, samples) to (batch, bins, frames)."""
    source, length = site.tensor("self", "input"), site.integer("n_fft", 1)
    frames = _frames(site.out(), length, onesided=site.argument("onesided") is not False)
    windowed = TensorType(source.type.dtype, (frames, length), ())
    here = site.elementwise("mul", (site.data(source), *_window(site)), kind=windowed, suffix="window")
    site.elementwise("fft", (here,), elements=frames * butterflies(length))


@converts("istft")
def _istft(site: Site) -> None:
    """One transform a frame, the window, frames added where they overlap, and a division by the windows' sum."""
    source, length = site.tensor("self", "input"), site.integer("n_fft", 1)
    frames = _frames(source.type, length, onesided=site.argument("onesided") is not False)
    made = site.out()
    whole, signal = TensorType(made.dtype, (frames, length), ()), TensorType(made.dtype, made.shape, ())
    here = site.elementwise(
        "fft", (site.data(source),), kind=whole, suffix="transform", elements=frames * butterflies(length)
    )
    here = site.elementwise("mul", (here, *_window(site)), kind=whole, suffix="window")
    here = site.elementwise("add", (here,), kind=signal, suffix="overlap", elements=whole.elements)
    site.elementwise("div", (here,))


def _frames(spectra: TensorType, length: int, *, onesided: bool) -> int:
    """Frames of all signals, from the type of their spectra."""
    elements = spectra.elements if spectra.dtype.startswith("complex") else spectra.elements // 2
    return elements // (length // 2 + 1 if onesided else length)


def _window(site: Site) -> tuple[str, ...]:
    window = site.optional("window")
    return () if window is None else (site.data(window),)


@converts("grid_sampler", "grid_sampler_2d", "grid_sampler_3d")
def _grid_sampler(site: Site) -> None:
    source, grid = site.tensor("input"), site.tensor("grid")
    reads, mode = (site.data(source), site.data(grid)), site.integer("interpolation_mode", _BILINEAR)
    if mode == _NEAREST:
        site.move("gather", reads)
        return
    flat = "interpolate" if mode == _BILINEAR else "interpolate_cubic"
    site.elementwise("interpolate_trilinear" if len(source.type.shape) == 5 else flat, reads)


@converts("affine_grid_generator")
def _affine_grid(site: Site) -> None:
    """The product of the pixels' coordinates, with a one behind them, and each sample's matrix."""
    theta, made = site.tensor("theta"), site.out()
    batch, *size, axes = made.shape
    grid = site.table("grid", TensorType(made.dtype, (prod(size), axes + 1), ()))
    site.matmul((grid, site.data(theta)), batch, prod(size), axes, axes + 1, shared=batch > 1)


@converts("_weight_norm", "_weight_norm_interface")
def _weight_norm(site: Site) -> None:
    """Direction times magnitude over norm, computed at each run as the module does (Salimans and Kingma 2016)."""
    direction, magnitude = site.tensor("v"), site.tensor("g")
    norm = TensorType(direction.type.dtype, magnitude.type.shape, ())
    v, g = site.weight(direction), site.weight(magnitude)
    here = site.reduce("reduce_l2", (v,), direction.type.elements, kind=norm, suffix="norm")
    here = site.elementwise("div", (g, here), kind=norm, suffix="scale")
    outputs = (site.call.outputs[0].name,) if site.call.outputs[0] is not None else site.outputs
    elements = direction.type.elements
    made = Elementwise(
        name=site.name, inputs=(v, here), outputs=outputs, label=site.key, function="mul", elements=elements
    )
    site.emit(made)


# Quantised programs (pt2e): scales and zero points that are constants cost nothing and are no parameters

_QUANTISERS = ("quantize_per_tensor", "quantize_per_channel", "quantize_per_token", "quantize_per_channel_group")


@converts(*(f"quantized_decomposed::{each}" for each in _QUANTISERS))
def _quantize(site: Site) -> None:
    site.elementwise("quantize", (site.weight(site.tensor("input")), *_computed_scales(site)))


@converts(*(f"quantized_decomposed::de{each}" for each in _QUANTISERS))
def _dequantize(site: Site) -> None:
    site.elementwise("dequantize", (site.weight(site.tensor("input")), *_computed_scales(site)))


_CHOOSERS = (
    "choose_qparams", "choose_qparams_symmetric", "choose_qparams_per_token", "choose_qparams_per_token_asymmetric",
    "_choose_qparams_per_token_asymmetric_impl",
)  # fmt: skip


@converts(*(f"quantized_decomposed::{each}" for each in _CHOOSERS))
def _choose(site: Site) -> None:
    """The least and the greatest value of the data."""
    source = site.tensor("input")
    site.reduce("reduce_max", (site.data(source),), 2 * source.type.elements)


def _computed_scales(site: Site) -> tuple[str, ...]:
    rest = (value for name, value in site.call.arguments.items() if name != "input" and isinstance(value, Value))
    return tuple(site.data(value) for value in rest if value.origin == "data")
