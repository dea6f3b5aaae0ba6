"""Target ``tpu-v1``: achieved operations a second of six applications, against the publication's measurements.

The bundled architecture `tpu-v1` runs a stand-in for each application: its layers are not public, so they are derived
from the published numbers of layers, weights, MACs a weight byte and batch (see validation/tpu-v1). Nothing is
calibrated on these rows. The roofline, min(peak, bandwidth x operations a weight byte), bounds every prediction.

Source: Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit", ISCA 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, partial
from math import isqrt
from pathlib import Path

from accelsim.errors import UnknownNameError
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.pipeline import Evaluation, evaluate
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.table import Record, read_table
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Op

__all__ = ["TARGET", "applications", "convolution_stack", "matrix_stack"]

_KINDS = ("mlp", "lstm", "cnn")
_COLUMNS = (
    "app", "kind", "layers", "weights_m", "mac_per_weight_byte", "batch", "layer_size", "achieved_tops",
)  # fmt: skip
_KERNEL = 3
_GATES = 4


def matrix_stack(name: str, layers: int, size: int, batch: int, *, cell: bool) -> Graph:
    """``layers`` products of (batch, size) with a size x size weight, each with its activation.

    With ``cell`` the results are gates of size / 4 LSTM cells, whose arithmetic follows; otherwise ReLU follows.
    """
    tensors = {"x": Tensor("x", (batch, size))}
    ops: list[Op] = []
    before = "x"
    for index in range(layers):
        weight, product, after = (f"{index}.{part}" for part in ("weight", "product", "output"))
        tensors[weight] = Tensor(weight, (size, size), "weight")
        tensors |= {made: Tensor(made, (batch, size)) for made in (product, after)}
        ops.append(MatMul(name=f"layer.{index}", inputs=(before, weight), outputs=(product,), m=batch, n=size, k=size))
        function, elements = ("lstm_cell", max(1, batch * size // _GATES)) if cell else ("relu", batch * size)
        ops.append(
            Elementwise(
                name=f"activation.{index}", inputs=(product,), outputs=(after,), function=function, elements=elements
            )
        )
        before = after
    return Graph(name, tuple(ops), tensors, ("x",), (before,), batch=batch)


def convolution_stack(name: str, layers: int, channels: int, pixels: int, batch: int) -> Graph:
    """``layers`` 3 x 3 convolutions of equal width on a row-major map of about ``pixels``, each with ReLU."""
    height = max(1, isqrt(pixels))
    size = (height, max(1, round(pixels / height)))
    shape = (batch, channels, *size)
    tensors = {"x": Tensor("x", shape)}
    ops: list[Op] = []
    before = "x"
    for index in range(layers):
        weight, product, after = (f"{index}.{part}" for part in ("weight", "product", "output"))
        tensors[weight] = Tensor(weight, (channels, channels, _KERNEL, _KERNEL), "weight")
        tensors |= {made: Tensor(made, shape) for made in (product, after)}
        ops.append(
            Conv(
                name=f"conv.{index}", inputs=(before, weight), outputs=(product,), batch=batch, in_channels=channels,
                out_channels=channels, input_size=size, output_size=size, kernel=(_KERNEL, _KERNEL), stride=(1, 1),
                padding=(1, 1),
            )
        )  # fmt: skip
        elements = tensors[after].elements
        ops.append(
            Elementwise(
                name=f"activation.{index}", inputs=(product,), outputs=(after,), function="relu", elements=elements
            )
        )
        before = after
    return Graph(name, tuple(ops), tensors, ("x",), (before,), batch=batch)


def _stand_in(record: Record) -> Graph:
    """The derived workload of one row."""
    kind = record.text("kind").lower()
    if kind not in _KINDS:
        raise UnknownNameError("kind of application", kind, _KINDS, file=record.source, field="kind")
    name, layers, batch = record.text("app"), record.whole("layers"), record.whole("batch")
    weights = record.number("weights_m") * 1e6
    if kind == "cnn":
        channels = max(1, round((weights / layers / _KERNEL**2) ** 0.5))
        pixels = max(1, round(record.number("mac_per_weight_byte") / batch))
        return convolution_stack(name, layers, channels, pixels, batch)
    size = record.whole("layer_size") if record.raw("layer_size") else max(1, round((weights / layers) ** 0.5))
    return matrix_stack(name, max(1, round(weights / size**2)), size, batch, cell=kind == "lstm")


def applications(file: Path) -> Iterator[Graph]:
    """The derived workload of each row of a table."""
    return map(_stand_in, read_table(file, _COLUMNS))


@cache
def _architecture() -> Architecture:
    return load_architecture("tpu-v1")


def _tera_ops_per_s(run: Evaluation) -> float:
    return 2 * run.macs / run.latency_s / 1e12


def _compared(record: Record) -> Iterable[Comparison]:
    measured = record.figure("achieved_tops")
    if measured is None:
        return
    run = evaluate(_stand_in(record), _architecture(), "int8")
    note = f"{run.workload.parameters / 1e6:.3g} M weights in {len(run.workload.ops) // 2} derived layers"
    yield Comparison("achieved_tops", _tera_ops_per_s(run), measured, note=note)


def _rows(file: Path) -> Iterator[Row]:
    for record in read_table(file, _COLUMNS):
        compare = partial(_compared, record)
        yield evaluated(record.raw("app") or "(no name)", compare, family=record.raw("family"), source=record.source)


TARGET = Target(
    name="tpu-v1",
    description="Achieved TOPS of six applications on the bundled tpu-v1, from layer shapes derived from published "
    "totals, against Jouppi et al., ISCA 2017.",
    looked_for=("tpu_v1*.csv",),
    rows=_rows,
    notes=(
        "Layer shapes are derived, not published: an error is that of the model and of the shapes together. CNN1, "
        "whose layers are shallow and partly fully connected, is hardly described by 72 equal convolutions.",
        "Google's own performance model has a mean error of 8 % on these six, with the true shapes.",
    ),
)
