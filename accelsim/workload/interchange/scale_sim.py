"""Topology files of SCALE-Sim (Samajdar et al., ISPASS 2020): a convolution or a product a line.

Two layouts, told by the header: ``Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num
Filter, Strides`` and ``Layer, M, N, K``. A column ``Sparsity`` (N:M values that are not zero, along the reduction) is
recorded on the weights; further columns do not matter to the work, nor does a line with a title only.

The format says nothing of how layers are connected, so each reads an input of its own and gives an output: the layers
run in the order of the file. Windows are without padding, and a last window that is not whole is computed, as the
program does: ceil((side - filter) / stride) + 1 outputs a side.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from accelsim.errors import InputError
from accelsim.workload.graph import MAX_SIZE, Graph, Sparsity, Tensor
from accelsim.workload.ops import Conv, MatMul, Op

__all__ = ["read_topology"]

MAX_BYTES = 1 << 26
_CONV = ("ifmapheight", "ifmapwidth", "filterheight", "filterwidth", "channels", "numfilter")
_PRODUCT = ("m", "n", "k")
_Row = tuple[str, str, Mapping[str, str]]  # name, where it stands, cells by column


def read_topology(path: Path) -> Graph:
    """The layers of a topology file as a graph without connections.

    Raises:
        InputError: it cannot be read, has neither layout, or a cell is no size; the message names line and column.
    """
    layout, rows = _rows(path)
    tensors: dict[str, Tensor] = {}
    ops: list[Op] = []
    for name, where, cells in rows:
        sizes = {column: _size(cells, column, where) for column in layout}
        sparse = _sparsity(cells.get("sparsity", ""), where)
        op, made = _conv(name, sizes, _strides(cells, where), where) if "channels" in sizes else _product(name, sizes)
        weight = made[1]
        if sparse is not None:
            kept, group = sparse
            zeros = weight.elements * (group - kept) // group
            made[1] = replace(weight, sparsity=Sparsity(f"{kept}:{group}", zeros))
        tensors.update({tensor.name: tensor for tensor in made})
        ops.append(op)
    inputs, outputs = tuple(op.inputs[0] for op in ops), tuple(op.outputs[0] for op in ops)
    return Graph(path.stem, tuple(ops), tensors, inputs, outputs)


def _rows(path: Path) -> tuple[tuple[str, ...], Iterator[_Row]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"is larger than {MAX_BYTES} bytes", file=path)
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except UnicodeDecodeError:
        raise InputError("is not text in UTF-8", file=path) from None
    except csv.Error as error:
        raise InputError(f"is not CSV ({error})", file=path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", file=path) from None
    header = (
        [re.sub(r"[^a-z]", "", cell.lower()).replace("numfilters", "numfilter") for cell in lines[0]] if lines else []
    )
    for layout in (_CONV, _PRODUCT):
        if set(layout) <= set(header):
            return layout, _named(path, header, lines[1:])
    remedy = "the first line must be `Layer name, IFMAP Height, ..., Strides` or `Layer, M, N, K`"
    raise InputError("has the layout of no topology", file=path, remedy=remedy)


def _named(path: Path, header: list[str], lines: list[list[str]]) -> Iterator[_Row]:
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        cells = [cell.strip() for cell in line]
        if sum(map(bool, cells)) <= 1 and not any(cells[1:]):
            continue  # blank, or a title
        name = cells[0] or f"line {number}"
        seen[name] = seen.get(name, 0) + 1
        unique = name if seen[name] == 1 else f"{name}#{seen[name]}"
        yield unique, f"{path}, line {number}", {key: cell for key, cell in zip(header, cells, strict=False) if key}


def _size(cells: Mapping[str, str], column: str, where: str) -> int:
    text = cells.get(column, "")
    if not re.fullmatch(r"\d{1,12}", text, re.ASCII) or not 1 <= int(text) <= MAX_SIZE:
        raise InputError(f"must be a whole number from 1 to {MAX_SIZE:.0e}", file=where, field=column, value=text)
    return int(text)


def _strides(cells: Mapping[str, str], where: str) -> tuple[int, int]:
    """One stride for both axes, or one each in columns ``Stride H`` and ``Stride W``."""
    names = {key: key for key in cells if key.startswith("stride")}
    both = next((key for key in ("strides", "stride") if key in names), None)
    if both is not None:
        return _size(cells, both, where), _size(cells, both, where)
    height, width = (next((key for key in names if key.startswith(f"stride{axis}")), f"stride {axis}") for axis in "hw")
    return _size(cells, height, where), _size(cells, width, where)


def _sparsity(text: str, where: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,4})\s*:\s*(\d{1,4})", text, re.ASCII)
    if match is None or not 0 < int(match[1]) <= int(match[2]):
        raise InputError("is no N:M", file=where, field="sparsity", value=text, remedy="write such as 2:4")
    return int(match[1]), int(match[2])


def _conv(name: str, sizes: Mapping[str, int], strides: tuple[int, int], where: str) -> tuple[Op, list[Tensor]]:
    height, width, kernel_height, kernel_width, channels, filters = (sizes[column] for column in _CONV)
    if kernel_height > height or kernel_width > width:
        raise InputError("is larger than its input", file=where, field="filter", value=[kernel_height, kernel_width])
    pairs = ((height, kernel_height, strides[0]), (width, kernel_width, strides[1]))
    out = tuple(-(-(side - kernel) // stride) + 1 for side, kernel, stride in pairs)
    # The rows that a last, partial window reads beyond the input.
    beyond = tuple((o - 1) * stride + kernel - side for o, (side, kernel, stride) in zip(out, pairs, strict=True))
    read, weight, made = f"{name}.input", f"{name}.weight", f"{name}.output"
    op = Conv(
        name=name, inputs=(read, weight), outputs=(made,), label="Conv", batch=1, in_channels=channels,
        out_channels=filters, input_size=(height, width), output_size=out, kernel=(kernel_height, kernel_width),
        stride=strides, padding=(0, 0, *beyond) if any(beyond) else (0, 0), dilation=(1, 1),
    )  # fmt: skip
    kernel_shape = (filters, channels, kernel_height, kernel_width)
    return op, [
        Tensor(read, (1, channels, height, width)), Tensor(weight, kernel_shape, "weight"),
        Tensor(made, (1, filters, *out)),
    ]  # fmt: skip


def _product(name: str, sizes: Mapping[str, int]) -> tuple[Op, list[Tensor]]:
    m, n, k = (sizes[column] for column in _PRODUCT)
    read, weight, made = f"{name}.input", f"{name}.weight", f"{name}.output"
    op = MatMul(name=name, inputs=(read, weight), outputs=(made,), label="GEMM", m=m, n=n, k=k)
    return op, [Tensor(read, (m, k)), Tensor(weight, (k, n), "weight"), Tensor(made, (m, n))]
