"""Arrays that compiled code only looks at: their owner is elsewhere, and outlives the call.

An array in compiled code carries its owner, whose references are counted, atomically, whenever the array is passed on,
sliced or put into a record. In loops over small arrays that takes longer than the arithmetic.
"""

from __future__ import annotations

from typing import Any, TypeVar

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

__all__ = ["unowned"]

T = TypeVar("T")


def unowned(value: T) -> T:
    """``value``, an array or a record of such, without its owners. Never return it to Python.

    Somebody else must keep the owners: take it of the arguments of a function that is not inlined, whose caller has
    them until it returns. Python itself, where nothing is compiled, gets the value as it is.
    """
    return value


# LLVM shall inline it: Numba, doing so, takes writes to arrays of a record for dead and leaves them out.
@overload(unowned, jit_options={"forceinline": True})
def _compiled(value):  # type: ignore[no-untyped-def]  # noqa: ARG001
    return lambda value: _without_owner(value)


@intrinsic  # type: ignore[untyped-decorator]
def _without_owner(_: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _stripped(context, builder, signature.args[0], args[0])

    return value(value), generate


def _stripped(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The same value in LLVM, with no owner in any array."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value=value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for index, each in enumerate(kind):
            stripped = _stripped(context, builder, each, builder.extract_value(value, index))
            value = builder.insert_value(value, stripped, index)
    return value
