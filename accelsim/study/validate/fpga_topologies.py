"""Layers of networks that FINN publishes as examples, by the name of their model file.

TFC and the network for UNSW-NB15 are fully connected; CNV is the VGG-like network of six convolutions without padding
(Umuroglu et al. 2017, arXiv 1612.07119, section 5). Bits are in the file's name: w2a2 is 2-bit weights and activations.
"""

from __future__ import annotations

import re

from accelsim.errors import UnsupportedError
from accelsim.mapping.fpga.layers import Layer, LayerKind, Shape
from accelsim.mapping.fpga.windows import Geometry

__all__ = ["topology"]

_INPUT_BITS = 8
_SUM_BITS = 16
_CNV: tuple[int | None, ...] = (64, 64, None, 128, 128, None, 256, 256)
"""Channels of the convolutions; None is a 2 x 2 maximum."""
_CNV_DENSE = (512, 512)
_DENSE = {"tfc-": (784, 64, 64, 64, 10), "unsw_nb15-mlp-": (600, 64, 64, 64, 1)}
_CONVOLUTIONAL = {"cnv-": 10, "cnv_1w1a_gtsrb": 43}


def topology(model: str, where: str) -> tuple[Layer, ...]:
    """The layers of a published network.

    Raises:
        UnsupportedError: a model whose layers are not published with it, or whose name says no bits.
    """
    name = model.rpartition("/")[2]
    bits = re.search(r"w(\d)a(\d)", name) or re.search(r"_(\d)w(\d)a", name)
    if bits is None:
        raise UnsupportedError("states neither layers nor folding, so that it cannot be mapped", file=where,
                               field="model", value=model)  # fmt: skip
    weight, activation = int(bits[1]), int(bits[2])
    if activation > 1:  # FINN stores a weight of one bit (-1 or 1) beside wider activations in two
        weight = max(weight, 2)
    for prefix, sizes in _DENSE.items():
        if name.startswith(prefix):
            builder = _Layers(Shape(1, 1, sizes[0]), activation, weight, activation)
            for size in sizes[1:-1]:
                builder.dense(size, activation)
            return builder.ended(sizes[-1])
    for prefix, classes in _CONVOLUTIONAL.items():
        if name.startswith(prefix):
            return _cnv(weight, activation, classes)
    raise UnsupportedError("is a network whose layers are not at hand", file=where, field="model", value=model)


def _cnv(weight: int, activation: int, classes: int) -> tuple[Layer, ...]:
    builder = _Layers(Shape(32, 32, 3), _INPUT_BITS, weight, activation)
    for channels in _CNV:
        builder.pool() if channels is None else builder.convolution(channels)
    for size in _CNV_DENSE:
        builder.dense(size, activation)
    return builder.ended(classes)


class _Layers:
    """Layers one behind the other."""

    def __init__(self, shape: Shape, bits: int, weight: int, activation: int) -> None:
        self.shape, self.bits, self.weight, self.activation = shape, bits, weight, activation
        self.layers = [Layer(name="input", kind="source", ops=(), inputs=(), outputs=("input",), source=shape,
                             made=shape, in_bits=bits, out_bits=bits)]  # fmt: skip

    def convolution(self, channels: int) -> None:
        image = self.shape.image
        made = Shape(image[0] - 2, image[1] - 2, channels)
        self._add("convolution", made, self.activation, Geometry(image, (3, 3)), weight_bits=self.weight)

    def pool(self) -> None:
        made = Shape(self.shape.rows // 2, self.shape.columns // 2, self.shape.channels)
        self._add("pool", made, self.bits, Geometry(self.shape.image, (2, 2), (2, 2)))

    def dense(self, size: int, bits: int) -> None:
        self._add("dense", Shape(1, 1, size), bits, weight_bits=self.weight)

    def ended(self, classes: int) -> tuple[Layer, ...]:
        """All layers, the last of which hands on its sums."""
        self.dense(classes, _SUM_BITS)
        sink = Layer(name="output", kind="sink", ops=(), inputs=self.layers[-1].outputs, outputs=(), source=self.shape,
                     made=self.shape, in_bits=_SUM_BITS, out_bits=_SUM_BITS)  # fmt: skip
        return (*self.layers, sink)

    def _add(
        self, kind: LayerKind, made: Shape, bits: int, geometry: Geometry | None = None, weight_bits: int = 0
    ) -> None:
        number = len(self.layers)
        self.layers.append(
            Layer(
                name=f"{kind}{number}", kind=kind, ops=(number - 1,), inputs=self.layers[-1].outputs,
                outputs=(f"stream{number}",), source=self.shape, made=made, in_bits=self.bits, out_bits=bits,
                weight_bits=weight_bits, geometry=geometry, activates=bool(weight_bits),
            )
        )  # fmt: skip
        self.shape, self.bits = made, bits
