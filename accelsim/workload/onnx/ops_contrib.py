"""Fused operators of ``com.microsoft``: written as the ops that they fuse, so that nothing of them is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

from accelsim.workload.onnx.contrib import transposed
from accelsim.workload.onnx.lower import Lowering
from accelsim.workload.onnx.model import TensorType
from accelsim.workload.onnx.ops_matrix import channels_last, convolution, gemm, product
from accelsim.workload.onnx.site import Site, converts
from accelsim.workload.ops import Conv, Elementwise, MatMul, Move, Op, Reduce

__all__: list[str] = []

MS = "com.microsoft"

_ACTIVATIONS = {
    "Clip": "clip", "Elu": "elu", "FastGelu": "gelu", "Gelu": "gelu", "HardSigmoid": "hard_sigmoid",
    "LeakyRelu": "leaky_relu", "Relu": "relu", "Sigmoid": "sigmoid", "Softplus": "softplus", "Tanh": "tanh",
}  # fmt: skip


def _single(site: Site, function: str, inputs: tuple[str, ...]) -> Op:
    return Elementwise(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function,
        elements=site.out().elements,
    )  # fmt: skip


@converts("Gelu", "QuickGelu", domain=MS)
def _gelu(site: Site) -> Op:
    return _single(site, "gelu" if site.label == "Gelu" else "silu", (site.data(0),))


@converts("FastGelu", "BiasGelu", domain=MS)
def _bias_gelu(site: Site) -> Op:
    lower, shape, out = Lowering(site), site.out().shape, site.outputs[0]
    source = site.data(0)
    if site.has(1):
        source = lower.elementwise("bias", "add", (source, site.weight(1)), shape)
    lower.elementwise("activation", "gelu", (source,), shape, out)
    return lower.last()


@converts("BiasAdd", domain=MS)
def _bias_add(site: Site) -> Op:
    lower, shape = Lowering(site), site.out().shape
    biased = lower.elementwise("bias", "add", (site.data(0), site.weight(1)), shape)
    lower.elementwise("skip", "add", (biased, site.data(2)), shape, site.outputs[0])
    return lower.last()


@converts("BiasSoftmax", domain=MS)
def _bias_softmax(site: Site) -> Op:
    lower, kind = Lowering(site), site.out()
    biased = lower.elementwise("bias", "add", (site.data(0), site.data(1)), kind.shape)
    lower.reduce("softmax", "softmax", (biased,), kind.elements, kind.shape, site.outputs[0])
    return lower.last()


@converts("Trilu", domain=MS)
def _trilu(site: Site) -> Op:
    return Move(
        name=site.name, inputs=site.operands(1), outputs=site.outputs, label=site.label, function="trilu",
        elements=site.out().elements,
    )  # fmt: skip


# Normalisations


def _norm(site: Site, function: str, weights: tuple[str, ...]) -> Op:
    return Reduce(
        name=site.name, inputs=(site.data(0), *weights), outputs=site.outputs, label=site.label, function=function,
        elements=site.elements(),
    )  # fmt: skip


@converts("LayerNormalization", domain=MS)
def _layer_norm(site: Site) -> Op:
    return _norm(site, "layer_norm", site.weights(1, 2))


@converts("SimplifiedLayerNormalization", domain=MS)
@converts("SimplifiedLayerNormalization")
def _simplified_norm(site: Site) -> Op:
    return _norm(site, "rms_norm", site.weights(1))


@converts("GroupNorm", domain=MS)
def _group_norm(site: Site) -> Op:
    lower, kind = Lowering(site), site.out()
    silu = bool(site.integer("activation", 0))
    made = lower.reduce("norm", "group_norm", (site.data(0), *site.weights(1, 2)), site.elements(), kind.shape,
                        None if silu else site.outputs[0])  # fmt: skip
    if silu:
        lower.elementwise("silu", "silu", (made,), kind.shape, site.outputs[0])
    return lower.last()


@converts("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MS)
def _skip_norm(site: Site) -> Op:
    """The sum of a branch, its skip and a bias; then the norm. The sum may be an output too."""
    simplified = site.label == "SkipSimplifiedLayerNormalization"
    weights, bias = ((2,), 3) if simplified else ((2, 3), 4)
    lower, shape = Lowering(site), site.shape(0)
    named = [name if name in site.outputs else None for name in (*site.node.outputs, "", "", "", "")[:4]]
    has_bias = site.has(bias)
    total = lower.elementwise("add", "add", (site.data(0), site.weight(1)), shape, None if has_bias else named[3])
    if has_bias:
        total = lower.elementwise("bias", "add", (total, site.weight(bias)), shape, named[3])
    function = "rms_norm" if simplified else "layer_norm"
    made = lower.reduce("norm", function, (total, *site.weights(*weights)), prod(shape), shape, named[0])
    return _with_outputs(lower, made, [each for each in named[1:3] if each])


def _with_outputs(lower: Lowering, made: str, more: list[str]) -> Op:
    """The last op with further outputs that it makes on the way."""
    return replace(lower.last(), outputs=(made, *more))


@converts("EmbedLayerNormalization", domain=MS)
def _embed(site: Site) -> Op:
    """Rows of up to three tables, their sum, and its norm."""
    shape, ids = site.out().shape, site.data(0)
    lower = Lowering(site, site.type(2).element)
    total = lower.move("words", "gather", (site.weight(2), ids), shape)
    positions = (site.data(8),) if site.has(8) else ()
    parts = [lower.move("positions", "gather", (site.weight(3), *positions), shape)]
    if site.has(4):
        segments = (site.data(1),) if site.has(1) else ()
        parts.append(lower.move("segments", "gather", (site.weight(4), *segments), shape))
    summed = site.node.outputs[2] if len(site.node.outputs) > 2 and site.node.outputs[2] in site.outputs else None
    for index, part in enumerate(parts):
        made = summed if index == len(parts) - 1 else None
        total = lower.elementwise(f"add{index}", "add", (total, part), shape, made)
    if len(site.node.outputs) > 1 and site.node.outputs[1] in site.outputs:
        mask = (site.data(7),) if site.has(7) else (ids,)
        rows = prod(site.shape(0))
        lower.reduce("mask_index", "reduce_sum", mask, rows, site.out(1).shape, site.node.outputs[1])
    weights = site.weights(5, 6)
    lower.reduce("norm", "layer_norm", (total, *weights), prod(shape), shape, site.node.outputs[0])
    return lower.last()


# Matrix work with what follows it


@converts("FusedMatMul", "TransposeMatMul", domain=MS)
def _fused_matmul(site: Site) -> Op:
    a = transposed(site.shape(0), site.integer("transA", 0), site.integer("transBatchA", 0))
    b = transposed(site.shape(1), site.integer("transB", 0), site.integer("transBatchB", 0))
    return product(site, 0, 1, a=a, b=b)


@converts("FusedGemm", domain=MS)
def _fused_gemm(site: Site) -> Op:
    return _activated(site, lambda: gemm(site, 0, 1, site.weights(2)))


@converts("GemmFastGelu", domain=MS)
def _gemm_gelu(site: Site) -> Op:
    return _activated(site, lambda: product(site, 0, 1, site.weights(2)), "FastGelu")


@converts("NhwcConv", domain=MS)
def _nhwc_conv(site: Site) -> Op:
    return channels_last(site, site.weights(2))


@converts("NhwcFusedConv", domain=MS)
def _nhwc_fused_conv(site: Site) -> Op:
    return _activated(site, lambda: channels_last(site, site.weights(2)), skip=3)


@converts("FusedConv", domain=MS)
def _fused_conv(site: Site) -> Op:
    """Convolution, then the sum with ``Z`` if given, then the activation."""
    return _activated(site, lambda: convolution(site, 0, 1, site.weights(2)), skip=3)


def _activated(
    site: Site, matrix: Callable[[], Conv | MatMul], activation: str | None = None, skip: int | None = None
) -> Op:
    """Matrix work, the addition of input ``skip`` if given, and the activation that the node names."""
    name = activation or site.string("activation", "")
    if name and name not in _ACTIVATIONS:
        raise site.unsupported("fuses an activation that is not known", value=name)
    op, kind, out = matrix(), site.out(), site.outputs[0]
    follow = [("skip", "add")] if skip is not None and site.has(skip) else []
    follow += [("activation", _ACTIVATIONS[name])] if name else []
    if not follow:
        return op
    inner = site.intermediate("product", TensorType(kind.element, kind.shape))
    lower = Lowering(site, kind.element)
    source = inner
    for index, (part, function) in enumerate(follow):
        operands = (source, site.data(skip)) if part == "skip" and skip is not None else (source,)
        source = lower.elementwise(part, function, operands, kind.shape, out if index == len(follow) - 1 else None)
    # The matrix op bears the node's name, so that a precision for the node reaches it.
    site.before.append(replace(op, outputs=(inner,)))
    site.before.extend(lower.ops[:-1])
    return lower.ops[-1]


@converts("GatherBlockQuantized", domain=MS)
def _gather_blocks(site: Site) -> Op:
    """Rows of a table in few bits, and their scaling."""
    kind = site.out()
    lower = Lowering(site, site.type(0).element)
    rows = lower.move("rows", "gather", (site.weight(0), site.data(1)), kind.shape)
    lower.elementwise("scale", "dequantize", (rows,), kind.shape, site.outputs[0])
    return lower.last()
