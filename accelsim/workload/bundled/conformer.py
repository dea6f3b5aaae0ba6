"""Conformer transducer (Gulati et al., Interspeech 2020, arXiv 2005.08100).

What the paper leaves open is as in common implementations: two unpadded 3x3 convolutions of the encoder's width
subsample the spectra (ESPnet), positions are relative in both directions (2 rows - 1 of them, Transformer-XL's
biases), the joint network is as wide as the prediction network. Constant factors (half residuals, the scale of the
position scores) are folded into weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.errors import InputError
from accelsim.workload.bundled.parameters import Positive, Size
from accelsim.workload.bundled.transducer import BeamSearch, Joint, PrefixNetwork, Transducer, add_decoding
from accelsim.workload.bundled.transformer import Heads, TransformerBuilder, heads_of
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv

__all__ = ["conformer"]

_EXPANSION = 4
_SUBSAMPLING_KERNEL, _SUBSAMPLING_STRIDE = 3, 2
_SMALLEST_INPUT = 7


@dataclass(frozen=True, slots=True)
class _Sizes:
    layers: int
    width: int
    heads: int
    decoder_width: int


_SIZES = {"s": _Sizes(16, 144, 4, 320), "m": _Sizes(16, 256, 4, 640), "l": _Sizes(17, 512, 8, 640)}
"""Table 1 of Gulati et al. 2020. The decoder is one LSTM layer."""


def conformer(
    *,
    size: Literal["s", "m", "l"],
    audio_s: Positive,
    frames_per_s: Positive,
    features: Size,
    kernel: Size,
    symbols: Size,
    beam: BeamSearch,
    batch: Size = 1,
) -> Graph:
    """A transducer with a Conformer encoder over (batch, frames, features) and an LSTM prediction network.

    Raises:
        InputError: less audio, or fewer features, than the subsampling convolutions need.
    """
    sizes = _SIZES[size]
    frames = round(audio_s * frames_per_s)
    for field, value, count in (("audio_s", audio_s, frames), ("features", features, features)):
        if count < _SMALLEST_INPUT:
            rule = f"must give {_SMALLEST_INPUT} values or more: two convolutions of stride 2 subsample them"
            raise InputError(rule, file="workload conformer", field=field, value=value)
    heads = heads_of("conformer", sizes.width, sizes.heads)
    build = TransformerBuilder()
    here = _subsampled(build, build.input("spectra", (batch, 1, frames, features)), sizes.width)
    rows = build.shape(here)[1]
    positions = build.tensor("encoder.positions", (2 * rows - 1, sizes.width), "constant")
    for layer in range(sizes.layers):
        here = _layer(build, f"encoder.{layer}", here, positions, heads, kernel)
    (here,) = build.move("encoder.frames", "transpose", [here], (rows, batch, sizes.width), view=True)
    prediction = PrefixNetwork(
        name="prediction", embedding_rows=symbols, embedding_size=sizes.decoder_width, layers=1,
        hidden_size=sizes.decoder_width,
    )  # fmt: skip
    # The joint network adds where `multiply` multiplies: the same operations.
    model = Transducer(
        symbols=symbols, prediction=prediction, joint=Joint("multiply", sizes.decoder_width), beam=beam, batch=batch
    )
    made, figures = add_decoding(build, here, model, audio_s)
    return build.graph("conformer", [made], batch=batch, audio_s=audio_s * batch, figures=figures)


def _subsampled(build: TransformerBuilder, here: str, width: int) -> str:
    """A quarter of the frames: (batch, frames / 4, width)."""
    for index in range(2):
        name = f"encoder.subsampling.{index}"
        here = build.conv(name, here, width, _SUBSAMPLING_KERNEL, stride=_SUBSAMPLING_STRIDE, bias=True)
        here = build.elementwise(f"{name}.relu", "relu", here)
    batch, channels, rows, features = build.shape(here)
    (here,) = build.move("encoder.subsampling.rows", "transpose", [here], (batch, rows, channels * features))
    return build.matmul("encoder.subsampling.project", here, width)


def _layer(build: TransformerBuilder, name: str, here: str, positions: str, heads: Heads, kernel: int) -> str:
    """Half a feed-forward layer, attention, convolution, the other half, each added to what it reads."""
    here = _feed_forward(build, f"{name}.feed_forward1", here)
    branch = _attention(build, f"{name}.attention", here, positions, heads)
    here = build.add_residual(f"{name}.attention", branch, here)
    here = build.add_residual(f"{name}.convolution", _convolution(build, f"{name}.convolution", here, kernel), here)
    return build.norm(f"{name}.norm", _feed_forward(build, f"{name}.feed_forward2", here))


def _feed_forward(build: TransformerBuilder, name: str, source: str) -> str:
    hidden = _EXPANSION * build.shape(source)[-1]
    branch = build.feed_forward(name, build.norm(f"{name}.norm", source), hidden, "silu")
    return build.add_residual(name, branch, source)


def _attention(build: TransformerBuilder, name: str, source: str, positions: str, heads: Heads) -> str:
    """Self-attention with relative positions (Dai et al. 2019, arXiv 1901.02860)."""
    batch, rows, width = build.shape(source)
    here = build.norm(f"{name}.norm", source)
    queries, keys, values = (build.matmul(f"{name}.{each}", here, width) for each in ("query", "key", "value"))
    content, position = (
        build.elementwise(f"{name}.add_{each}", "add", queries, build.tensor(f"{name}.{each}", (width,), "weight"))
        for each in ("content_bias", "position_bias")
    )
    count = build.shape(positions)[0]
    projected = build.matmul(f"{name}.position", positions, width, bias=False)
    # All sequences of a batch have the same positions, so their rows share each head's product.
    shape = (batch, heads.queries, rows, count)
    shifted = build.product(
        f"{name}.position_scores", position, projected, shape, heads.queries, batch * rows, heads.size
    )
    (shifted,) = build.move(f"{name}.shift", "slice", [shifted], (batch, heads.queries, rows, rows))
    keys, values = build.keys(f"{name}.keys", keys, heads), build.values(f"{name}.values", values, heads)
    here = build.attend(name, content, keys, values, heads, position_scores=shifted)
    return build.matmul(f"{name}.output", here, width)


def _convolution(build: TransformerBuilder, name: str, source: str, kernel: int) -> str:
    """Pointwise to twice the width, gated to the width, a depthwise convolution over time, pointwise."""
    batch, rows, width = build.shape(source)
    here = build.matmul(f"{name}.expand", build.norm(f"{name}.norm", source), 2 * width)
    here, gate = build.split(f"{name}.halves", here, 2)
    here = build.elementwise(f"{name}.gate", "mul", here, build.elementwise(f"{name}.sigmoid", "sigmoid", gate))
    (here,) = build.move(f"{name}.channels", "transpose", [here], (batch, width, rows), view=True)
    here = _depthwise(build, f"{name}.depthwise", here, kernel)
    scale_shift = build.tensor(f"{name}.depthwise.bn.weight", (2, width), "weight")
    here = build.elementwise(f"{name}.depthwise.bn", "folded_batch_norm", here, scale_shift)
    here = build.elementwise(f"{name}.silu", "silu", here)
    (here,) = build.move(f"{name}.rows", "transpose", [here], (batch, rows, width), view=True)
    return build.matmul(f"{name}.project", here, width)


def _depthwise(build: TransformerBuilder, name: str, source: str, kernel: int) -> str:
    """Each channel of (batch, channels, rows) filtered by itself; an even kernel sees one row more ahead."""
    batch, channels, rows = build.shape(source)
    weight = build.tensor(f"{name}.weight", (channels, 1, kernel), "weight")
    bias = build.tensor(f"{name}.bias", (channels,), "weight")
    made = build.tensor(f"{name}.output", (batch, channels, rows))
    op = Conv(
        name=name, inputs=(source, weight, bias), outputs=(made,), batch=batch, in_channels=channels,
        out_channels=channels, input_size=(rows,), output_size=(rows,), kernel=(kernel,), stride=(1,),
        padding=((kernel - 1) // 2, kernel // 2), groups=channels,
    )  # fmt: skip
    build.ops.append(op)
    return made
