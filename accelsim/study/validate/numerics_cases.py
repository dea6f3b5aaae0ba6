"""What the emulator computes for one case of reference data: its fields as settings, its arrays as inputs.

Each function takes the fields and the arrays and returns results by the name of the array that they are compared with.
Expected arrays are looked at for their presence only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim import numerics
from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics.accumulators import AlignTruncate
from accelsim.numerics.elements import Element, Float, Integer
from accelsim.numerics.formats import FORMATS, UE5M3, UE5M3_FINITE, UE5M3_NAN, Format, Overflow, Rounding
from accelsim.numerics.layout import layout_of
from accelsim.numerics.libraries import LIBRARIES, library_values

__all__ = [
    "cast_result",
    "element_called",
    "integer_result",
    "library_results",
    "mx_result",
    "scaled_fp4_result",
    "tensor_core_result",
]

About = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]
Results = dict[str, NDArray[Any]]

_ROUNDINGS: tuple[tuple[str, Rounding], ...] = (
    ("stochastic", "stochastic"), ("ties_to_even", "nearest_even"), ("nearest_even", "nearest_even"),
    ("away", "nearest_away"), ("toward_zero", "toward_zero"), ("trunc", "toward_zero"),
    ("toward_positive", "up"), ("up", "up"), ("toward_negative", "down"), ("down", "down"),
)  # fmt: skip
_FLOAT_NAMES = {
    "fp32": "fp32", "float32": "fp32", "tf32": "tf32", "bf16": "bf16", "bfloat16": "bf16", "fp16": "fp16",
    "float16": "fp16",
}  # fmt: skip
_MX_NAME = {"e4m3": "mxfp8_e4m3", "e5m2": "mxfp8_e5m2", "e2m3": "mxfp6_e2m3", "e3m2": "mxfp6_e3m2", "e2m1": "mxfp4"}
_UE5M3 = {"114688": UE5M3_NAN, "61440": UE5M3, "122880": UE5M3_FINITE}


def _values(arrays: Arrays, name: str) -> NDArray[np.float32]:
    if name not in arrays:
        raise InputError("is missing", field=name)
    return np.ascontiguousarray(arrays[name]).view(np.float32)


def _bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)


def _rounding(about: About) -> Rounding:
    text = str(about.get("rounding", "nearest_ties_to_even")).lower()
    first = re.split(r"[ ,:]", text, maxsplit=1)[0]
    for word, rounding in _ROUNDINGS:
        if word in first:
            return rounding
    raise UnsupportedError("is not a known rounding", field="rounding", value=text)


def element_called(name: str) -> Float:
    """The floating-point element of a name such as fp16, fp8_e4m3fn, e5m2 and float8_e4m3fnuz.

    Raises:
        UnsupportedError: no such name.
    """
    text = name.lower()
    if text in _FLOAT_NAMES:
        element = FORMATS[_FLOAT_NAMES[text]].element
    else:
        found = re.search(r"e(\d+)m(\d+)(fnuz|fn)?$", text)
        if not found:
            raise UnsupportedError("is not a known element", field="format", value=name)
        plain = f"e{found[1]}m{found[2]}"
        element = numerics.format_of(plain + (found[3] if found[3] == "fnuz" else "")).element
        if found[3] == "fn" and isinstance(element, Float) and element.specials == "ieee":
            element = replace(element, specials="nan")
    assert isinstance(element, Float)
    return element


def _mx_format(about: About) -> Format:
    text = str(about.get("element") or about.get("format")).lower()
    found = re.search(r"int(\d+)$", text)
    if found:
        bits = int(found[1])
        form = replace(FORMATS["mxint8"], element=Integer(bits, symmetric=True, fraction_bits=bits - 2))
    else:
        form = replace(FORMATS["mxfp4"], element=element_called(text))
    return replace(form, name=text, block=int(about.get("block_size", 32)))


def mx_result(about: About, arrays: Arrays) -> Results:
    """Kind ``mx_quantize_dequantize``."""
    form = replace(_mx_format(about), scale_rule=about.get("scale_rule", "floor"), rounding=_rounding(about))
    made = numerics.quantize(_values(arrays, "x"), form, axis=int(about.get("axis", -1)), **_random(about, arrays))
    return _collected(made, arrays)


def _collected(made: numerics.QuantizedTensor, arrays: Arrays) -> Results:
    """Everything of a quantised tensor that a case has an array for."""
    results: Results = {"y": _bits(made.dequantize())}
    for name in arrays:
        if name == "codes":
            results[name] = made.codes
        elif name == "scale":
            results[name] = _bits(made.scale_values)
        elif name.startswith("scale_"):
            results[name] = made.scales
        elif name == "tensor_scale":
            results[name] = _bits(np.atleast_1d(made.tensor_scale))
        elif name == "zero_point":
            zero = made.zero_points
            results[name] = np.zeros(made.scales.shape, np.int32) if zero is None else zero
    return results


def scaled_fp4_result(about: About, arrays: Arrays) -> Results:
    """Kinds ``nvfp4_quantize_dequantize`` and ``fp4_ue5m3_quantize_dequantize``: scales that are no powers of two."""
    rule, stored, program = (str(about.get(field, "")) for field in ("scale_rule", "scale_format", "program"))
    nv = about["kind"].startswith("nvfp4")
    form = FORMATS["nvfp4" if nv else "fp4_ue5m3"]
    if not nv:
        known = [scale for largest, scale in _UE5M3.items() if largest in stored]
        form = replace(form, scale=known[0] if known else UE5M3)
    least = re.search(r"clamp\(.*?,\s*2\^(-?\d+)\s*,", rule)
    tensor = "tensor_scale" in arrays
    form = replace(
        form, block=int(about.get("block_size", 16)), rounding=_rounding(about),
        scale_rule="amax_reciprocal" if "fl(1/6)" in rule else "amax",
        scale_floor=2.0 ** int(least[1]) if least else 0.0,
        tensor_scale="amax" if tensor else "none", quotient=_quotient(about, program, nv),
    )  # fmt: skip
    made = numerics.quantize(_values(arrays, "x"), form, axis=int(about.get("axis", -1)), **_random(about, arrays))
    return _collected(made, arrays)


def _quotient(about: About, program: str, nv: bool) -> Any:
    """How the program divides: its own words where there are any, else what it is known to do."""
    text = str(about.get("rounding", ""))
    if "x / scale" in text or "modelopt" in program:
        return "divide"
    if "TransformerEngine" in program:
        return "reciprocal_of_product"
    return "reciprocal" if nv or "1/scale" in text.replace(" ", "") else "divide"


def integer_result(about: About, arrays: Arrays) -> Results:
    """Kind ``int_quantize_dequantize``: symmetric where the case has no zero points."""
    low, high = int(about["qmin"]), int(about["qmax"])
    signed = low < 0
    bits = high.bit_length() + signed
    element = Integer(bits, signed=signed, symmetric=-low == high)
    if (element.lowest_code, element.largest_code) != (low, high):
        raise UnsupportedError(f"is not a range of {bits} bits", field="qmin", value=low)
    x, axis = _values(arrays, "x"), int(about.get("axis", -1))
    form = replace(
        FORMATS["int4_group32"], name=str(about.get("format", "int")), element=element, rounding=_rounding(about)
    )
    form = _shared(form, about, x, axis)
    zero = "zero_point" in arrays and bool(re.search(r"zero point 0\b", str(about.get("scale_rule", ""))) is None)
    form = replace(form, scale_rule="minmax" if zero else "amax",
                   quotient="divide" if "x / scale" in str(about.get("rounding", "")) else "reciprocal")  # fmt: skip
    divisor = re.search(r"amax\s*/\s*([0-9.]+)", str(about.get("scale_rule", "")))
    settings: dict[str, Any] = _random(about, arrays)
    if divisor and not zero and float(divisor[1]) != element.largest_code:
        layout = layout_of(x.shape, form, axis)
        amax = np.abs(layout.split(x)).max(axis=1, initial=0)
        settings["scale"] = layout.to_grid(np.maximum(amax / np.float32(float(divisor[1])), np.finfo(np.float32).tiny))
    return _collected(numerics.quantize(x, form, axis=axis, **settings), arrays)


def _shared(form: Format, about: About, x: NDArray[np.float32], axis: int) -> Format:
    """Who shares a scale: a block of the size that is stated, else a channel or the tensor as stated."""
    block = about.get("block_size")
    text = " ".join(str(about.get(field, "")) for field in ("granularity", "name", "format", "settings")).lower()
    if isinstance(block, int) and block > 0 and block != x.shape[axis]:
        return replace(form, block=block)
    per_tensor = block in (None, 0, -1) and ("tensor" in text or "channel" not in text)
    return replace(form, block=None, shared="tensor" if per_tensor else "channel")


def _random(about: About, arrays: Arrays) -> dict[str, Any]:
    if "srbits" not in arrays:
        return {}
    text = f"{about.get('rounding', '')} {about.get('settings', '')}"
    width = re.search(r"srnumbits\s*=\s*(\d+)", text) or re.search(r"2\^-(\d+)", text)
    width_bits = int(width[1]) if width else arrays["srbits"].dtype.itemsize * 8
    return {"random_bits": arrays["srbits"], "random_width": width_bits}


def cast_result(about: About, arrays: Arrays) -> Results:
    """Kind ``element_cast``."""
    element = element_called(str(about["format"]))
    if str(about.get("overflow", "")).lower().startswith("inf") and element.infinity_code is None:
        element = replace(element, specials="ieee")  # such as E4M3 with infinities, which shares its name
    form = Format(str(about["format"]), element, nan="element")
    overflow, kept = _overflow(about, element)
    settings: dict[str, Any] = {"rounding": _rounding(about), "overflow": overflow, **_random(about, arrays)}
    if kept:
        settings["infinity"] = "kept"
    x = _values(arrays, "x")
    results: Results = {"y": _bits(numerics.cast(x, form, **settings))}
    if "codes" in arrays:
        results["codes"] = numerics.cast_codes(x, form, **settings)
    return results


def _overflow(about: About, element: Element) -> tuple[Overflow, bool]:
    """What overflow becomes, and whether infinities stay although it saturates."""
    text = str(about.get("overflow", "saturate")).lower()
    if text.startswith(("sat", "clamp")):
        stays = re.search(r"infinit\w*\s+(stay|kept|keep|remain|preserved|unchanged)", text) is not None
        return "saturate", stays and isinstance(element, Float) and element.infinity_code is not None
    if text.startswith("inf"):
        return "infinity", False
    if text.startswith("nan"):
        return "nan", False
    raise UnsupportedError("is not a known overflow", field="overflow", value=text)


def tensor_core_result(about: About, arrays: Arrays) -> Results:
    """Kind ``tensor_core_dot``: row i is one instruction, d[i] = a[i] . b[i] + c[i]."""
    output = str(about.get("output", "fp32")).lower()
    cut = re.search(r"truncated to (\d+) fraction bits", output)
    names = [_core_format(each) for each in re.split(r"\s*[x,*]\s*", str(about["format"])) if each]
    a, b, c = (_values(arrays, name) for name in "abc")
    k = a.shape[1]
    bits = max(FORMATS[name].element.bits for name in names)
    unit = AlignTruncate(
        "case", int(about["fraction_bits"]), k * (32 if bits > 16 else bits),
        "fp16" if output.startswith("fp16") else "fp32",
        int(cut[1]) if cut else 23, operands=tuple(names),
    )  # fmt: skip
    pair = (names[0], names[-1])
    rows = [numerics.dot(a[i], b[i], accumulator=unit, c=c[i], operands=pair) for i in range(len(a))]
    return {"d": _bits(np.array(rows, np.float32))}


def _core_format(name: str) -> str:
    element = element_called(name)
    for known in FORMATS.values():
        if known.element == element and known.scale is None:
            return known.name
    raise UnsupportedError("is no operand of a tensor core", field="format", value=name)


def library_results(about: About, arrays: Arrays) -> Results:
    """Kind ``disagreement``: every program's own result. Rows that a program refused keep what it left there."""
    text = str(about.get("element") or about.get("format")).lower()
    found = re.search(r"e(\d)m(\d)$", text)
    form = _MX_NAME[found[0]] if found and found[0] in _MX_NAME else "mx" + text.removeprefix("mx")
    x = _values(arrays, "x")
    results: Results = {}
    for name in arrays:
        if not name.startswith("y__"):
            continue
        program = name.removeprefix("y__")
        refused = np.asarray(arrays.get(f"{program}_raised", np.zeros(len(x))), dtype=bool)
        values = arrays[name].copy()
        settings: dict[str, Any] = {"block": int(about.get("block_size", 32)), "quirks": True}
        if program in LIBRARIES:
            settings |= {"scale_rule": about.get("scale_rule", "floor"), "rounding": _rounding(about)}
        values[~refused] = _bits(library_values(x[~refused], program, form, **settings))
        for row in np.flatnonzero(refused):
            _must_refuse(x[row], program, form, settings)
        results[name] = values
    return results


def _must_refuse(x: NDArray[np.float32], program: str, form: str, settings: dict[str, Any]) -> None:
    try:
        library_values(x, program, form, **settings)
    except InputError:
        return
    raise UnsupportedError("refused a row that is computed here", field="program", value=program)
