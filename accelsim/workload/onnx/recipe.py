"""The number formats that a quantised model brings with it, as a precision recipe called ``file``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from glob import escape

from accelsim.numerics import FORMATS, Integer
from accelsim.workload.graph import PrecisionRecipe, Tensor
from accelsim.workload.ops import Conv, Elementwise, Loop, MatMul, Move, Op, Recurrent

__all__ = ["file_recipe", "spread_few_bits"]

NAME = "file"

_LEAST_FLOAT_BITS = 16
"""A float model with narrower values is a quantised one."""

# They quantise their float operand on the way in.
_DYNAMIC = frozenset({"DynamicQuantizeLSTM", "DynamicQuantizeMatMul"})


def spread_few_bits(ops: Iterable[Op], tensors: dict[str, Tensor], few_bits: Mapping[str, int | str]) -> None:
    """Let what only moves data keep the few bits of the values that it moves; ``tensors`` are changed."""
    few = {name for name in few_bits if name in tensors}
    for op in ops if few else ():
        if isinstance(op, Move) and op.inputs and op.inputs[0] in few:
            source = tensors[op.inputs[0]]
            for name in op.outputs:
                tensors[name] = replace(tensors[name], format=source.format, stored_bits=source.stored_bits)
                few.add(name)


def file_recipe(ops: Iterable[Op], tensors: Mapping[str, Tensor]) -> PrecisionRecipe | None:
    """The recipe that computes each matrix op in the format in which the file computes it; None for a float model.

    An op whose two operands are integers computes in the wider of their formats, any other in that of its data.
    """
    formats = dict(_formats(tuple(ops), tensors))
    if not any(isinstance(FORMATS[name].element, Integer) or _narrow(name) for name in formats.values()):
        return None
    default, _ = Counter(formats.values()).most_common(1)[0]
    patterns = tuple((name, each) for name, each in formats.items() if each != default)
    return PrecisionRecipe(NAME, default, patterns, source="the model file")


def _formats(ops: tuple[Op, ...], tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, str]]:
    """(op name or pattern, format) of every matrix op, those inside of loops included."""
    producers = {output: op for op in ops for output in op.outputs}
    for op in ops:
        if isinstance(op, Loop):
            yield from _formats(op.body.ops, op.body.tensors)
        elif isinstance(op, MatMul | Conv | Recurrent):
            data, weight = (_stored(name, producers, tensors) for name in op.inputs[:2])
            if op.label in _DYNAMIC:
                data = weight
            found = _computed(data, weight)
            yield escape(op.name), found
            if isinstance(op, Recurrent):
                yield f"{escape(op.name)}.*", found


def _computed(data: str, weight: str) -> str:
    """The wider of two integers; else whichever is a float, since an integer is scaled back before it meets one."""
    if _integer(data, weight) or not (_integer(data) or _integer(weight)):
        return max((data, weight), key=lambda name: FORMATS[name].element.bits)
    return weight if _integer(data) else data


def _narrow(name: str) -> bool:
    return FORMATS[name].element.bits < _LEAST_FLOAT_BITS


def _integer(*names: str) -> bool:
    return all(isinstance(FORMATS[name].element, Integer) for name in names)


def _stored(name: str, producers: Mapping[str, Op], tensors: Mapping[str, Tensor]) -> str:
    """The format of a tensor's values, seen through what moves them and what scales them back.

    Integers of a width that is no format have the narrowest one that holds them.
    """
    while (op := producers.get(name)) is not None and op.inputs:
        moves = isinstance(op, Move) or (isinstance(op, Elementwise) and op.function == "dequantize")
        if not moves or tensors[name].format not in (None, "fp16", "bf16") or tensors[name].stored_bits:
            break
        name = op.inputs[0]
    tensor = tensors[name]
    if tensor.format is None and tensor.stored_bits is not None:
        return next((f"int{bits}" for bits in range(tensor.stored_bits, 9) if f"int{bits}" in FORMATS), "fp32")
    return tensor.format or "fp32"
