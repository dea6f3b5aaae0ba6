"""What the stages of the ONNX front end hand to each other: types, nodes and the plain form of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError

if TYPE_CHECKING:
    from accelsim.workload.onnx.constants import Constant

__all__ = ["ELEMENTS", "Body", "Element", "Node", "OpenShapeError", "Plain", "Source", "TensorType", "text"]


@dataclass(frozen=True, slots=True)
class Element:
    """A stored element type: its ONNX name, its bits (0: not of fixed size) and accelsim's format, where it has one.

    FP32 maps to no format: None is what "not decided yet" means, and counts as FP32 where bytes matter. Unsigned
    integers map to the signed format of the same width, which stores alike.
    """

    name: str
    bits: int
    format: str | None = None


# Numbered as in onnx.proto's TensorProto.DataType.
ELEMENTS: Mapping[int, Element] = {
    1: Element("float32", 32),
    2: Element("uint8", 8, "int8"),
    3: Element("int8", 8, "int8"),
    4: Element("uint16", 16),
    5: Element("int16", 16),
    6: Element("int32", 32),
    7: Element("int64", 64),
    8: Element("string", 0),
    9: Element("bool", 8),
    10: Element("float16", 16, "fp16"),
    11: Element("float64", 64),
    12: Element("uint32", 32),
    13: Element("uint64", 64),
    14: Element("complex64", 64),
    15: Element("complex128", 128),
    16: Element("bfloat16", 16, "bf16"),
    17: Element("float8e4m3fn", 8, "fp8_e4m3"),
    18: Element("float8e4m3fnuz", 8, "fp8_e4m3_fnuz"),
    19: Element("float8e5m2", 8, "fp8_e5m2"),
    20: Element("float8e5m2fnuz", 8, "fp8_e5m2_fnuz"),
    21: Element("uint4", 4, "int4"),
    22: Element("int4", 4, "int4"),
    23: Element("float4e2m1", 4, "fp4_e2m1"),
    24: Element("float8e8m0", 8),
    25: Element("uint2", 2, "int2"),
    26: Element("int2", 2, "int2"),
    27: Element("float6e2m3", 6, "fp6_e2m3"),
    28: Element("float6e3m2", 6, "fp6_e3m2"),
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type (a key of `ELEMENTS`) and shape; every size is known."""

    element: int
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model came from: its file as errors name it, its folder, and the opset version of each domain."""

    file: str
    folder: Path
    opsets: Mapping[str, int]

    def error(
        self, rule: str, field: str | None = None, *, value: object = None, remedy: str | None = None
    ) -> InputError:
        """An InputError about this file, for the caller to raise."""
        return InputError(rule, file=self.file, field=field, value=value, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Node:
    """One node with tensor names made unique over the whole model.

    ``inputs`` and ``outputs`` keep the places of the operator's definition; an omitted one is "". ``captured``
    are the outer tensors that its subgraphs read. ``proto`` is the file's NodeProto, under the file's names.
    """

    name: str
    op_type: str
    domain: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    captured: tuple[str, ...]
    proto: Any

    @property
    def key(self) -> tuple[str, str]:
        return self.domain, self.op_type

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.domain or 'ai.onnx'}::{self.op_type})"


@dataclass(frozen=True, slots=True)
class Plain:
    """A model in plain form: every shape known, no `If`, nothing that constants alone decide, nothing unused.

    Attributes:
        source: where it came from.
        nodes: what is left, in file order.
        types: of every tensor, by its unique name.
        constants: the tensors that no input can change.
        inputs, outputs: tensor names.
        few_bits: of the values of tensors that have more in their element type, or the format of these (QONNX).
        bodies: what each `Loop` and `Scan` repeats, by node name.
        facts: what was decided while the model was read, for provenance.
    """

    source: Source
    nodes: tuple[Node, ...]
    types: Mapping[str, TensorType]
    constants: Mapping[str, Constant]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    few_bits: Mapping[str, int | str] = field(default_factory=dict)
    bodies: Mapping[str, Body] = field(default_factory=dict)
    facts: Mapping[str, int | float | str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """What a `Loop` or `Scan` does in one step.

    Attributes:
        plain: the step. Its inputs are slices of scanned tensors and tensors from outside; its outputs pair with
            the node's outputs that are used, by position, and end with next states that nothing outside reads.
        steps: how often it runs.
        carried: (tensor that a step makes, tensor that the next one reads).
        states: the tensors of the step that a step before it, or the loop itself, has left there.
        initial: the tensors outside that hold the first states and are no constants.
        outputs: the node's outputs that are used, in the order of the step's.
    """

    plain: Plain
    steps: int
    carried: tuple[tuple[str, str], ...]
    states: frozenset[str]
    initial: tuple[str, ...]
    outputs: tuple[str, ...]


class OpenShapeError(InputError):
    """A tensor whose shape only a run of the model can tell."""


def text(value: str | bytes) -> str:
    """A protobuf string; bytes that are not UTF-8 are shown escaped rather than refused."""
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")
