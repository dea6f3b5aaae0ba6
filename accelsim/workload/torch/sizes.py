"""Symbolic sizes: expressions as `sympy.srepr` writes them, evaluated without sympy and without running anything."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache

__all__ = ["UnboundSizeError", "evaluate", "symbol_of", "symbols_of"]

Number = int | Fraction | bool

MAX_CHARACTERS = 20_000
MAX_BITS = 256


class UnboundSizeError(ValueError):
    """An expression that cannot be evaluated; says why."""


def _power(base: Number, exponent: Number) -> Fraction:
    value, times = Fraction(base), Fraction(exponent)
    if times.denominator != 1 or abs(times) * max(1, int(abs(value)).bit_length()) > MAX_BITS:
        raise UnboundSizeError(f"raises {base} to {exponent}")
    return value ** int(times)


def _modular(base: Number, divisor: Number, modulus: Number) -> Number:
    return base // divisor % modulus


# By the names of sympy and torch.utils._sympy.functions.
_FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "Add": lambda *terms: sum(terms),
    "Mul": lambda *factors: math.prod(factors),
    "Pow": _power,
    "PowByNatural": _power,
    "Integer": lambda value: value,
    "Rational": lambda above, below: Fraction(above, below),
    "FloorDiv": lambda above, below: above // below,
    "CleanDiv": lambda above, below: above // below,
    "CeilDiv": lambda above, below: -(-above // below),
    "IntTrueDiv": lambda above, below: Fraction(above) / below,
    "FloatTrueDiv": lambda above, below: Fraction(above) / below,
    "Mod": lambda above, below: above % below,
    "PythonMod": lambda above, below: above % below,
    "ModularIndexing": _modular,
    "Max": max,
    "Min": min,
    "Abs": abs,
    "floor": math.floor,
    "ceiling": math.ceil,
    "FloorToInt": math.floor,
    "CeilToInt": math.ceil,
    "TruncToInt": math.trunc,
    "RoundToInt": round,
    "ToFloat": lambda value: value,
    "Identity": lambda value: value,
    "Where": lambda condition, yes, no: yes if condition else no,
    "Equality": lambda left, right: left == right,
    "Unequality": lambda left, right: left != right,
    "StrictLessThan": lambda left, right: left < right,
    "LessThan": lambda left, right: left <= right,
    "StrictGreaterThan": lambda left, right: left > right,
    "GreaterThan": lambda left, right: left >= right,
    "And": lambda *terms: all(terms),
    "Or": lambda *terms: any(terms),
    "Not": lambda term: not term,
}


def evaluate(expression: int | str, symbols: Mapping[str, int]) -> int:
    """The whole number that ``expression`` is, with ``symbols`` for its names.

    Raises:
        UnboundSizeError: a name without a size, a function that is not known, or a result that is no whole number.
    """
    if isinstance(expression, int):
        return expression
    try:
        value = _value(_parsed(expression), symbols)
    except (TypeError, ZeroDivisionError, OverflowError, RecursionError) as error:
        raise UnboundSizeError(f"cannot be evaluated ({error})") from None
    if value.denominator != 1 or int(value).bit_length() > MAX_BITS:
        raise UnboundSizeError(f"is {value}, which is not a size")
    return int(value)


def symbol_of(expression: int | str) -> str | None:
    """The name of an expression that is a name alone, else None."""
    if isinstance(expression, int):
        return None
    tree = _parsed(expression)
    return _symbol(tree) if isinstance(tree, ast.Call) else None


def symbols_of(expression: int | str) -> frozenset[str]:
    """All names in an expression."""
    if isinstance(expression, int):
        return frozenset()
    calls = (node for node in ast.walk(_parsed(expression)) if isinstance(node, ast.Call))
    return frozenset(name for name in map(_symbol, calls) if name is not None)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise UnboundSizeError(f"is an expression of {len(text):,} characters; at most {MAX_CHARACTERS:,} are read")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise UnboundSizeError(f"is not an expression: {text[:80]!r}") from None


def _symbol(call: ast.Call) -> str | None:
    if isinstance(call.func, ast.Name) and call.func.id in ("Symbol", "Dummy") and call.args:
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return name.value
    return None


def _value(tree: ast.expr, symbols: Mapping[str, int]) -> Number:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_value(tree.operand, symbols)
    if isinstance(tree, ast.Name) and tree.id in ("true", "false"):
        return tree.id == "true"
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        name = _symbol(tree)
        if name is not None:
            if name not in symbols:
                raise UnboundSizeError(f"depends on {name!r}, which the data decides at run time")
            return symbols[name]
        if tree.func.id in _FUNCTIONS:
            result = _FUNCTIONS[tree.func.id](*(_value(argument, symbols) for argument in tree.args))
            if not isinstance(result, bool) and int(result).bit_length() > MAX_BITS:
                raise UnboundSizeError("is larger than any size")
            return result
        raise UnboundSizeError(f"uses {tree.func.id!r}, which is not known")
    raise UnboundSizeError("is not an expression over sizes")
