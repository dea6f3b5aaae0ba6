"""Products in the format and order of a mapping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.engine.functional.product import Read, SumOrder, contract, held, narrowed, read
from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics import FORMATS, accumulator_named, cast, matmul

ONE = np.ones((), np.float32)


def order(accumulator: str, *lengths: int) -> SumOrder:
    ends = np.cumsum(lengths)
    return SumOrder(accumulator_named(accumulator), tuple(slice(e - n, e) for e, n in zip(ends, lengths, strict=True)))


def summed(a: Read, b: Read, order: SumOrder) -> Any:
    return contract(a, held(b, order))


def plain(x: object) -> Read:
    return Read(np.asarray(x, np.float32), ONE)


@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_exact_sums_of_fp32_are_the_reference(g: int, m: int, n: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((g, m, k)).astype(np.float32), random.standard_normal((g, n, k)).astype(np.float32)
    got = summed(read(a, FORMATS["fp32"], "op"), read(b, FORMATS["fp32"], "op"), order("exact", k))
    wide = a.astype(np.float64) @ b.astype(np.float64).swapaxes(1, 2)
    np.testing.assert_allclose(got, wide, rtol=2.0**-23, atol=1e-12)


@pytest.mark.parametrize("accumulator", ["fp32", "fp16", "bf16"])
def test_one_share_of_k_is_the_plain_product(accumulator: str) -> None:
    random = np.random.default_rng(0)
    a, b = (cast(random.standard_normal((4, 50)), "fp16") for _ in range(2))
    got = summed(plain(a[None]), plain(b[None]), order(accumulator, 50))[0]
    np.testing.assert_array_equal(got, matmul(a, b, accumulator=accumulator, transpose_b=True))


def test_shares_are_summed_on_their_own_then_ascending() -> None:
    # In fp16, 2048 + 1 rounds to 2048: in one share each 1 is lost, in a share of their own they count.
    a, b = plain([[[2048, 1, 1, 1]]]), plain([[[1, 1, 1, 1]]])
    b.values[0, 0, 0] = 1
    a.values[0, 0, 3] = 1.5  # no whole number, so that nothing is summed exactly
    assert summed(a, b, order("fp16", 4))[0, 0, 0] == 2048 + 2  # 2048 + 1.5 rounds to 2050
    assert summed(a, b, order("fp16", 1, 3))[0, 0, 0] == 2052  # 2048 + 3.5 rounds to 2052


def test_shares_change_nothing_where_nothing_rounds() -> None:
    random = np.random.default_rng(3)
    a, b = (plain(random.integers(-7, 8, (2, 3, 40))) for _ in range(2))
    whole = summed(a, b, order("fp32", 40))
    np.testing.assert_array_equal(summed(a, b, order("fp32", 10, 10, 20)), whole)
    np.testing.assert_array_equal(whole, a.values @ b.values.swapaxes(1, 2))


def test_int4_by_hand() -> None:
    # Scales 7/7 = 1 and 3.5/7 = 0.5; codes [[7, -2], [0, 3]] and [[7, 2], [-1, 6]] after rounding to nearest even.
    a = read(np.array([[[7, -2.4], [0.4, 3]]]), FORMATS["int4"], "op")
    b = read(np.array([[[3.5, 1.0], [-0.5, 3.1]]]), FORMATS["int4"], "op")
    np.testing.assert_array_equal(summed(a, b, order("fp32", 2))[0], [[22.5, -9.5], [3.0, 9.0]])
    assert (a.flushed, a.saturated, b.flushed) == (1, 0, 0)


def test_counts_of_what_does_not_fit() -> None:
    _, saturated, flushed = narrowed(np.array([1e6, -1e6, 65504, 1e-9, 0.0]), FORMATS["fp16"], "op")
    assert (saturated, flushed) == (2, 1)
    block = np.array([[[7.0, *[0.1] * 31]]])  # floor rule: scale 1, largest 6, smallest 0.5
    got = read(block, FORMATS["mxfp4"], "op")
    assert (got.saturated, got.flushed) == (1, 31)
    assert read(np.array([[[3.3, 1.0]]]), FORMATS["int8"], "op").saturated == 0


def test_nan_follows_the_format() -> None:
    x = np.array([[[np.nan, 1.0]]])
    assert np.isnan(read(x, FORMATS["fp16"], "op").values).sum() == 1
    with pytest.raises(InputError, match="op first: int8"):
        read(x, FORMATS["int8"], "first")


def test_wide_scales_along_k_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="int4_group32"):
        read(np.ones((1, 1, 64)), FORMATS["int4_group32"], "op")


def test_every_fp16_number_and_what_lies_around_it_is_as_cast_gives() -> None:
    codes = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        between = (codes[:-1] + codes[1:]) / 2  # ties
        x = np.concatenate([codes, between, np.nextafter(between, np.float32(0)), np.float32([7e4, -7e4, 1e-30])])
    values, expected = read(x, FORMATS["fp16"], "op").values, cast(x, "fp16")
    same = (values.view(np.uint32) == expected.view(np.uint32)) | (np.isnan(values) & np.isnan(expected))
    assert same.all()
