"""Quantised tensors: packed codes and scales, as hardware stores them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics.elements import Float, Integer, PowerOfTwo, code_values
from accelsim.numerics.formats import Format
from accelsim.numerics.layout import Layout, layout_of
from accelsim.numerics.packing import packed_size, unpacked
from accelsim.numerics.rounding import ROWS, decoded

__all__ = ["Engine", "QuantizedTensor", "compiles"]

Engine = Literal["auto", "numpy", "numba"]

_ONE = np.float32(1)
_WORTHWHILE = 1 << 16
"""Elements from which compiled code is worth loading."""
_KINDS: dict[str, type[Float | Integer | PowerOfTwo]] = {
    "float": Float, "integer": Integer, "power_of_two": PowerOfTwo,
}  # fmt: skip


def compiles(engine: Engine, elements: int) -> bool:
    """Whether compiled code is used for so many elements."""
    if engine not in ("auto", "numpy", "numba"):
        raise InputError("must be auto, numpy or numba", field="engine", value=engine)
    return engine == "numba" or (engine == "auto" and elements >= _WORTHWHILE)


@dataclass(frozen=True)
class QuantizedTensor:
    """Numbers in a format: what would lie in memory.

    Attributes:
        format: how codes and scales are to be read.
        shape: of the tensor.
        axis: along which elements share a scale; several where a channel has several.
        data: the codes in C order, packed: (packed_size,) uint8, the first code in the lowest bits.
        scales: one a block, as stored (uint8; float32 where scales are FP32), of the shape of the tensor with the axis
            cut to its blocks; of shape () for one a tensor, empty without scales.
        tensor_scale: multiplies all scales.
        zero_points: integers that zero becomes, of the shape of ``scales``; None where they are 0.
    """

    format: Format
    shape: tuple[int, ...]
    axis: tuple[int, ...]
    data: NDArray[np.uint8]
    scales: NDArray[Any]
    tensor_scale: np.float32 = _ONE
    zero_points: NDArray[np.int32] | None = None

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and, where they travel with the data, the scales."""
        return self.data.nbytes + (self.scales.nbytes if self.format.shared == "block" else 0)

    @property
    def layout(self) -> Layout:
        """Which elements share a scale."""
        return layout_of(self.shape, self.format, self.axis or -1)

    @cached_property
    def codes(self) -> NDArray[Any]:
        """Codes, one an array element, of the shape of the tensor: unsigned for floats, signed for signed integers."""
        return unpacked(self.data, self.format.element, self.size).reshape(self.shape)

    @property
    def scale_values(self) -> NDArray[np.float32]:
        """What an element is multiplied with, tensor scale included, of the shape of ``scales``; 1 without scales."""
        scale = self.format.scale
        if scale is None:
            return np.ones((), np.float32)
        if self.scales.dtype == np.float32:
            values: NDArray[np.float32] = self.scales
        elif isinstance(scale, PowerOfTwo):
            values = code_values(scale)[self.scales]
        else:
            values = decoded(self.scales, scale)
        return values if self.tensor_scale == 1 else values * self.tensor_scale

    def dequantize(self, engine: Engine = "auto") -> NDArray[np.float32]:
        """The values, float32: element times scale (less zero point), rounded to float32 once."""
        layout = self.layout
        multipliers = layout.from_grid(self.scale_values)
        if self._by_byte(layout):
            rows = self.data.reshape(multipliers.size, -1)
            if compiles(engine, self.size):
                return _looked_up_compiled(rows, _byte_values(self.format), multipliers).reshape(self.shape)
            return _looked_up(rows, _byte_values(self.format), multipliers).reshape(self.shape)
        whole = layout.split(self.codes)
        if self.zero_points is not None:
            whole = whole.astype(np.int32) - layout.from_grid(self.zero_points)[:, np.newaxis]
        values = decoded(whole, self.format.element)
        with np.errstate(all="ignore"):
            if self.format.scale is not None:
                values = values * multipliers[:, np.newaxis]
        return layout.join(values)

    def _by_byte(self, layout: Layout) -> bool:
        """Whether whole bytes lie in rows of one scale each, in C order."""
        bits, plain = self.format.element.bits, isinstance(self.format.element, Float)
        whole = layout.direct and self.format.scale is not None and layout.width * bits % 8 == 0
        return plain and bits in (4, 8) and whole and self.size > 0

    def save(self, path: str | Path) -> None:
        """Write to .npz or .safetensors, by the ending of ``path`` (safetensors needs the extra of that name)."""
        kind = _file_kind(path)
        tensors = {"data": self.data, "scales": self.scales.copy(order="C")}
        if self.zero_points is not None:
            tensors["zero_points"] = self.zero_points
        tensors["tensor_scale"] = np.full(1, self.tensor_scale, np.float32)
        about = json.dumps({"format": _format_record(self.format), "shape": self.shape, "axis": self.axis})
        if kind == "npz":
            np.savez(path, about=np.array(about), **tensors)  # type: ignore[arg-type]
        else:
            _safetensors().save_file(tensors, str(path), metadata={"accelsim": about})

    @classmethod
    def load(cls, path: str | Path) -> QuantizedTensor:
        """Read what `save` has written.

        Raises:
            InputError: not such a file.
        """
        try:
            about, tensors = _read(Path(path))
            described = json.loads(about)
            loaded = cls(
                _format_of(described["format"]), tuple(described["shape"]), tuple(described["axis"]), tensors["data"],
                tensors["scales"], np.float32(tensors["tensor_scale"][0]), tensors.get("zero_points"),
            )  # fmt: skip
            grid = loaded.layout.grid if loaded.format.scale is not None else (0,)
            sized = loaded.data.shape == (packed_size(loaded.size, loaded.format.element.bits),)
            if not sized or loaded.scales.shape != grid:
                raise ValueError("sizes of codes or scales do not fit the shape")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"holds no quantised tensor ({error})", file=path) from None
        return loaded


def _byte_values(form: Format) -> NDArray[np.float32]:
    """The values of the codes in each byte, (256, codes a byte)."""
    assert isinstance(form.element, Float)
    every = np.arange(256)
    places = np.stack([every & 15, every >> 4], axis=-1) if form.element.bits == 4 else every[:, np.newaxis]
    return code_values(form.element)[places]


def _looked_up(
    rows: NDArray[np.uint8], table: NDArray[np.float32], multipliers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Values of the bytes of each row times its multiplier."""
    values = np.empty((len(rows), rows.shape[1] * table.shape[1]), np.float32)
    entries = table.reshape(-1).view(np.uint64 if table.shape[1] == 2 else np.uint32)  # what a byte holds, in one piece
    step = max(1, ROWS // values.shape[1])
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            np.multiply(entries[rows[part]].view(np.float32), multipliers[part, np.newaxis], out=values[part])
    return values


def _looked_up_compiled(
    rows: NDArray[np.uint8], table: NDArray[np.float32], multipliers: NDArray[np.float32]
) -> NDArray[np.float32]:
    from accelsim.numerics.kernels import dequantize_blocks

    values = np.empty((len(rows), rows.shape[1] * table.shape[1]), np.float32)
    dequantize_blocks(rows, table, multipliers, values)
    return values


def _file_kind(path: str | Path) -> str:
    ending = Path(path).suffix.removeprefix(".")
    if ending not in ("npz", "safetensors"):
        raise InputError("must end in .npz or .safetensors", field="path", value=str(path))
    return ending


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise InputError(
            "needs the package safetensors", field="path", remedy="pip install accelsim[safetensors]"
        ) from None
    return safetensors.numpy


def _read(path: Path) -> tuple[str, dict[str, NDArray[Any]]]:
    if _file_kind(path) == "npz":
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return str(arrays.pop("about")), arrays
    module = _safetensors()
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as stored:
            about = (stored.metadata() or {})["accelsim"]
        return about, module.load_file(str(path))
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _format_record(form: Format) -> dict[str, Any]:
    record = {each.name: getattr(form, each.name) for each in fields(form)}
    for field in ("element", "scale"):
        part = record[field]
        if part is not None:
            kind = next(name for name, cls in _KINDS.items() if isinstance(part, cls))
            record[field] = {"kind": kind, **asdict(part)}
    return record


def _format_of(record: dict[str, Any]) -> Format:
    parts = dict(record)
    for field in ("element", "scale"):
        if parts[field] is not None:
            settings = dict(parts[field])
            parts[field] = _KINDS[settings.pop("kind")](**settings)
    return Format(**{**parts, "quirks": tuple(parts["quirks"])})
