"""Quantised models: QDQ and QOperator form, dynamic quantisation, weights in few bits, QONNX.

Scales and zero points that are constants cost nothing and are no parameters; computed ones are operands. Adding a
zero point's product and scaling the sums back to integers is part of the matrix op that they follow.
"""

from __future__ import annotations

from math import prod

from accelsim.workload.onnx.contrib import QONNX_DOMAINS
from accelsim.workload.onnx.ops_matrix import convolution, gemm, product, recurrent
from accelsim.workload.onnx.site import Converter, Site, converts
from accelsim.workload.ops import Elementwise, MatMul, Move, Op, Recurrent, Reduce

__all__: list[str] = []

MS = "com.microsoft"


def _elementwise(site: Site, function: str, inputs: tuple[str, ...], elements: int | None = None) -> Elementwise:
    count = site.out().elements if elements is None else elements
    return Elementwise(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function, elements=count
    )


def _reduce(site: Site, function: str, inputs: tuple[str, ...], elements: int) -> Reduce:
    return Reduce(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function, elements=elements
    )


def _scaled(function: str) -> Converter:
    """Data, then scale and zero point."""
    return lambda site: _elementwise(site, function, (site.data(0), *site.steering(1, 2)))


for _op_type, _function in {"QuantizeLinear": "quantize", "DequantizeLinear": "dequantize"}.items():
    for _domain in ("", MS):
        converts(_op_type, domain=_domain)(_scaled(_function))


@converts("DynamicQuantizeLinear")
def _dynamic_quantize(site: Site) -> Op:
    """The range of the data is found before it is quantised."""
    return _elementwise(site, "dynamic_quantize", (site.data(0),))


# Matrix work on integers


@converts("ConvInteger")
def _conv_integer(site: Site) -> Op:
    return convolution(site, 0, 1, site.steering(2, 3))


@converts("QLinearConv")
def _qlinear_conv(site: Site) -> Op:
    return convolution(site, 0, 3, (*site.weights(8), *site.steering(1, 2, 4, 5, 6, 7)))


@converts("MatMulInteger")
def _matmul_integer(site: Site) -> Op:
    return product(site, 0, 1, site.steering(2, 3))


@converts("QLinearMatMul")
def _qlinear_matmul(site: Site) -> Op:
    return product(site, 0, 3, site.steering(1, 2, 4, 5, 6, 7))


@converts("DynamicQuantizeMatMul", domain=MS)
def _dynamic_quantize_matmul(site: Site) -> Op:
    return product(site, 0, 1, (*site.weights(4), *site.steering(2, 3)))


@converts("MatMulIntegerToFloat", domain=MS)
def _matmul_integer_to_float(site: Site) -> Op:
    return product(site, 0, 1, (*site.weights(6), *site.steering(2, 3, 4, 5)))


@converts("QGemm", domain=MS)
def _qgemm(site: Site) -> Op:
    return gemm(site, 0, 3, (*site.weights(6), *site.steering(1, 2, 4, 5, 7, 8)))


@converts("DynamicQuantizeLSTM", domain=MS)
def _dynamic_quantize_lstm(site: Site) -> Recurrent:
    """Its weights lie transposed: (directions, input, 4 * hidden)."""
    w, r = site.shape(1), site.shape(2)
    if not len(w) == len(r) == 3:
        raise site.error("needs weights of 3 axes", value=(w, r))
    return recurrent(site, "lstm", (w[0], w[2], w[1]), (r[0], r[2], r[1]), (3, 7))


@converts("MatMulNBits", domain=MS)
def _matmul_nbits(site: Site) -> MatMul:
    """Weights packed in blocks of K, each with a scale; they are unpacked on the way into the product."""
    k, n = site.integer("K", 0), site.integer("N", 0)
    x = site.shape(0)
    if k < 1 or n < 1 or not x or x[-1] != k:
        raise site.error(f"multiplies rows of K = {k} by N = {n} columns", value=x)
    weight = site.packed_weight(1, (n, k), site.integer("bits", 4))
    rest = (*site.weights(5), *site.steering(2, 3, 4))
    return MatMul(
        name=site.name, inputs=(site.data(0), weight, *rest), outputs=site.outputs, label=site.label,
        m=prod(x[:-1]), n=n, k=k,
    )  # fmt: skip


# Element-wise and window work on integers: data at every third place, scales and zero points between


@converts("QLinearAdd", "QLinearMul", domain=MS)
def _qlinear_binary(site: Site) -> Op:
    inputs = (site.parameter(0), site.parameter(3), *site.steering(1, 2, 4, 5, 6, 7))
    return _elementwise(site, site.label.removeprefix("QLinear").lower(), inputs)


@converts("QLinearSigmoid", domain=MS)
def _qlinear_sigmoid(site: Site) -> Op:
    return _elementwise(site, "sigmoid", (site.data(0), *site.steering(1, 2, 3, 4)))


@converts("QLinearLeakyRelu", domain=MS)
def _qlinear_leaky_relu(site: Site) -> Op:
    return _elementwise(site, "leaky_relu", (site.data(0), *site.steering(1, 2, 3, 4)))


@converts("QLinearSoftmax", domain=MS)
def _qlinear_softmax(site: Site) -> Op:
    return _reduce(site, "softmax", (site.data(0), *site.steering(1, 2, 3, 4)), site.elements())


@converts("QLinearReduceMean", domain=MS)
def _qlinear_reduce_mean(site: Site) -> Op:
    return _reduce(site, "reduce_mean", (site.data(0), *site.steering(1, 2, 3, 4)), site.elements())


@converts("QLinearGlobalAveragePool", domain=MS)
def _qlinear_global_pool(site: Site) -> Op:
    return _reduce(site, "average_pool", (site.data(0), *site.steering(1, 2, 3, 4)), site.elements())


@converts("QLinearAveragePool", domain=MS)
def _qlinear_pool(site: Site) -> Op:
    window = prod(site.integers("kernel_shape"))
    return _reduce(site, "average_pool", (site.data(0), *site.steering(1, 2, 3, 4)), site.out().elements * window)


@converts("NhwcMaxPool", domain=MS)
def _nhwc_max_pool(site: Site) -> Op:
    return _reduce(site, "max_pool", (site.data(0),), site.out().elements * prod(site.integers("kernel_shape")))


@converts("QLinearConcat", domain=MS)
def _qlinear_concat(site: Site) -> Op:
    """Output scale and zero point, then data, scale and zero point of each operand."""
    places = range(2, len(site.node.inputs), 3)
    inputs = tuple(site.data(index) for index in places if site.has(index))
    return Move(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function="concat",
        elements=site.out().elements,
    )  # fmt: skip


@converts("QLinearWhere", domain=MS)
def _qlinear_where(site: Site) -> Op:
    return _elementwise(site, "where", tuple(site.data(index) for index in (0, 1, 4)))


# QONNX: float tensors whose values an integer of few bits could hold


def _quantizer(site: Site) -> Op:
    return _elementwise(site, "quantize", (site.data(0), *site.steering(1, 2)))


for _domain in QONNX_DOMAINS:
    converts("Quant", "BipolarQuant", "Trunc", "IntQuant", "FloatQuant", domain=_domain)(_quantizer)
