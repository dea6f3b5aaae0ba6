"""Which operators of torch give a view of their input, and when they copy instead.

A view shares its input's storage under other sizes and strides, so it moves nothing. `reshape`, `contiguous` and `to`
give a view where the strides (or the dtype) allow one and a copy where they do not; the strides that torch recorded
tell which.
"""

from __future__ import annotations

from accelsim.workload.torch.program import TensorType

__all__ = ["MAYBE_COPIES", "ROOTED", "SLICES", "VIEWS", "copies", "same_layout", "viewable"]

# Views of the whole input. A parameter seen through them is still the parameter.
_WHOLE = {
    "_conj": "identity", "_unsafe_view": "reshape", "adjoint": "transpose", "alias": "identity", "detach": "identity",
    "lift": "identity", "lift_fresh": "identity", "matrix_H": "transpose", "moveaxis": "transpose",
    "movedim": "transpose", "numpy_T": "transpose", "permute": "transpose", "squeeze": "reshape",
    "swapaxes": "transpose", "swapdims": "transpose", "t": "transpose", "transpose": "transpose",
    "unsqueeze": "reshape", "view": "reshape", "view_as": "reshape", "resolve_conj": "identity",
    "resolve_neg": "identity", "mT": "transpose", "mH": "transpose", "dropout": "identity",
    "alpha_dropout": "identity", "feature_dropout": "identity", "feature_alpha_dropout": "identity",
    "native_dropout": "identity", "atleast_1d": "reshape", "atleast_2d": "reshape", "atleast_3d": "reshape",
    "view_as_real": "reshape", "view_as_complex": "reshape", "expand": "expand",
    "expand_as": "expand", "broadcast_to": "expand",
}  # fmt: skip

# Whole views where the layout or dtype allows, copies otherwise.
MAYBE_COPIES = {
    "_reshape_alias": "reshape", "contiguous": "copy", "flatten": "reshape", "reshape": "reshape",
    "reshape_as": "reshape", "unflatten": "reshape", "to": "cast", "type_as": "cast", "_to_copy": "cast",
    "ravel": "reshape",
}  # fmt: skip

# Views of parts of the input.
SLICES = {
    "chunk": "split", "diagonal": "slice", "hsplit": "split", "narrow": "slice", "select": "slice", "slice": "slice",
    "split": "split", "split_with_sizes": "split", "tensor_split": "split", "unbind": "split",
    "unsafe_chunk": "split", "unsafe_split": "split", "unsafe_split_with_sizes": "split", "vsplit": "split",
    "real": "slice", "imag": "slice", "unfold": "unfold", "as_strided": "slice", "view_again": "slice",
}  # fmt: skip

VIEWS = {**_WHOLE, **MAYBE_COPIES, **SLICES, "meshgrid": "expand", "broadcast_tensors": "expand"}
"""Operator to the function of its `Move`."""

_DEQUANTISERS = frozenset(
    f"quantized_decomposed::dequantize_per_{each}" for each in ("tensor", "channel", "token", "channel_group")
)

ROOTED = frozenset({*_WHOLE, *MAYBE_COPIES, *_DEQUANTISERS, "clone"})
"""Operators through which a stored tensor is still the tensor that the program stores."""


def copies(key: str, source: TensorType, made: TensorType) -> bool:
    """Whether an operator of `VIEWS` copies its input, of type ``source``, into ``made``."""
    if key not in MAYBE_COPIES:
        return False
    if source.dtype != made.dtype:
        return True
    if key == "contiguous":
        return not same_layout(source, made)
    if MAYBE_COPIES[key] == "cast":
        return False
    return not viewable(source.shape, source.strides, made.shape)


def same_layout(left: TensorType, right: TensorType) -> bool:
    """Whether two tensors of one shape lie alike in memory; strides of axes of size 1 mean nothing."""
    axes = zip(left.shape, left.strides, right.strides, strict=True)
    return all(a == b for size, a, b in axes if size != 1)


def viewable(shape: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a tensor of ``shape`` and ``strides`` can be seen as ``wanted``, which holds as many elements.

    Axes that follow each other in memory without a gap form a run; the wanted axes must divide the runs.
    """
    runs: list[tuple[int, int]] = []  # (elements, stride of the innermost axis)
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * stride:
            runs[-1] = (runs[-1][0] * size, stride)
        else:
            runs.append((size, stride))
    remaining, filled = iter(runs), 1
    run = next(remaining, (1, 1))[0]
    for size in wanted:
        filled *= size
        if filled > run:
            return False
        if filled == run and size != 1:
            run, filled = next(remaining, (1, 1))[0], 1
    return True
