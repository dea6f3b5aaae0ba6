"""Quantised tensors: scales by their definitions, equal engines, shapes of every kind, policies, files."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.numerics import FORMATS, QuantizedTensor, format_of, quantize
from accelsim.numerics.packing import packed, packed_size, unpacked

BLOCKED = [name for name, form in FORMATS.items() if form.shared == "block"]
RNG = np.random.default_rng(7)


def wide(shape, seed=0, spread=40):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * np.exp2(rng.integers(-spread, spread, shape))).astype(np.float32)


def same_bits(a, b):
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


def log2_floor(x: Fraction) -> int:
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    return exponent if x >= Fraction(2) ** exponent else exponent - 1


def exponent_by_definition(amax: float, form) -> int:
    """The scale rules in exact fractions, clamped to E8M0."""
    if amax == 0:
        return -127
    size, emax = Fraction(amax), form.element.emax
    if form.scale_rule == "rceil":
        size, emax = Fraction(float(np.float32(amax) / np.float32(form.element.largest))), 0
        if size == 0:
            return -127
    if form.scale_rule == "even":
        size += Fraction(2) ** max(log2_floor(size), -126) * Fraction(1, 2 ** (form.element.significand_bits + 1))
    floor = log2_floor(size)
    ceil = floor + (size != Fraction(2) ** floor)
    return max(-127, min(127, (floor if form.scale_rule in ("floor", "even") else ceil) - emax))


@pytest.mark.parametrize("rule", ["floor", "ceil", "even", "rceil"])
@pytest.mark.parametrize("name", ["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4", "mxint8"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_scale_rules_by_definition(name, rule, engine):
    bits = np.concatenate([
        RNG.integers(0, 0x7F800000, 300, dtype=np.uint32),
        np.array([0, 1, 2, 0x7FFFFF, 0x800000, 0x800001, 0x7F7FFFFF], np.uint32),
        (np.arange(1, 255, dtype=np.uint32) << np.uint32(23)),
        (np.arange(1, 255, dtype=np.uint32) << np.uint32(23)) - np.uint32(1),
        (np.arange(1, 255, dtype=np.uint32) << np.uint32(23)) + np.uint32(1),
    ])  # fmt: skip
    x = np.zeros((len(bits), 32), np.float32)
    x[:, 5] = -bits.view(np.float32)
    made = quantize(x, name, scale_rule=rule, engine=engine)
    expected = [exponent_by_definition(float(-each), made.format) + 127 for each in x[:, 5]]
    assert made.scales[:, 0].tolist() == expected


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([*BLOCKED, "e3m4/e8m0@8", "e5m2/e8m0@16", "e2m1/bf16@32"]),
    rows=st.integers(1, 5), blocks=st.integers(1, 3), block=st.sampled_from([2, 3, 16, 32, 33]),
    seed=st.integers(0, 1000), spread=st.sampled_from([1, 20, 60]),
)  # fmt: skip
def test_engines_agree(name, rows, blocks, block, seed, spread):
    x = wide((rows, blocks * block), seed, spread)
    made = [quantize(x, name, block=block, engine=engine) for engine in ("numpy", "numba")]
    assert np.array_equal(made[0].data, made[1].data)
    assert np.array_equal(made[0].scales, made[1].scales)
    values = [each.dequantize(engine) for each in made for engine in ("numpy", "numba")]
    assert all(same_bits(values[0], each) for each in values[1:])


@pytest.mark.parametrize("name", BLOCKED)
def test_errors_are_within_a_step(name):
    """No element is off by more than the distance of neighbouring codes at the largest, times the scale."""
    x = RNG.standard_normal((8, 96)).astype(np.float32)
    made = quantize(x, name)
    scale = np.repeat(made.scale_values, made.format.block, axis=-1)[:, :96]
    element = made.format.element
    step = 2.0 ** (element.emax - element.significand_bits) * scale
    limit = element.largest * scale
    assert np.all(np.abs(made.dequantize() - x) <= np.maximum(step, np.abs(x) - limit + step))


@pytest.mark.parametrize("name", ["mxfp4", "mxfp6_e2m3", "nvfp4", "int4/fp32@8", "int8/fp32@channel"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_any_axis_is_the_last_one_turned(name, axis):
    x = wide((6, 10, 12), 3, 4)
    turned = quantize(np.moveaxis(x, axis, -1), name)
    made = quantize(x, name, axis=axis)
    assert same_bits(made.dequantize(), np.moveaxis(turned.dequantize(), -1, axis).copy())
    assert made.codes.shape == x.shape
    assert np.array_equal(np.moveaxis(made.scales, axis, -1), turned.scales)


def test_channels_may_share_several_axes():
    x = wide((4, 3, 5, 5), 4, 2)
    made = quantize(x, "int8/fp32@channel", axis=(1, 2, 3))
    assert made.scales.shape == (4, 1, 1, 1)
    rows = quantize(x.reshape(4, -1), "int8/fp32@channel")
    assert same_bits(made.dequantize().reshape(4, -1), rows.dequantize())


def test_a_last_block_that_is_not_whole():
    x = wide((3, 70), 5, 3)
    made = quantize(x, "mxfp4")
    assert made.scales.shape == (3, 3)
    whole = quantize(np.pad(x, ((0, 0), (0, 26))), "mxfp4")
    assert same_bits(made.dequantize(), whole.dequantize()[:, :70].copy())


def test_inputs_of_every_kind():
    x = wide((4, 64), 6, 4)
    expected = quantize(x, "mxfp4").dequantize()
    frozen = x.copy()
    frozen.setflags(write=False)
    sparse = np.zeros((8, 128), np.float32)
    sparse[::2, ::2] = x
    for given_x in (x.astype(">f4"), frozen, sparse[::2, ::2], np.asfortranarray(x), x.astype(np.float64), x.tolist()):
        assert same_bits(quantize(given_x, "mxfp4").dequantize(), expected)
    assert np.array_equal(sparse[::2, ::2], x)


@pytest.mark.parametrize("shape", [(0,), (0, 32), (3, 0), (2, 0, 4)])
@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "int4", "int4/fp32@channel", "fp8_e4m3", "mxfp6_e2m3"])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_empty_tensors(shape, name, engine):
    made = quantize(np.zeros(shape, np.float32), name, engine=engine)
    assert made.codes.shape == made.dequantize(engine).shape == shape


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"axis": 2}, "axis: 2 is out of range"), ({"axis": -3}, "axis: -3"), ({"axis": 1.5}, "axis"),
        ({"axis": (0, 1)}, "one axis"), ({"block": 0}, "block: 0"), ({"block": -4}, "block: -4"),
        ({"rounding": "stochastic"}, "random_bits"), ({"overflow": "nan"}, "overflow"), ({"engine": "cuda"}, "engine"),
        ({"scale": 1.0}, "powers of two"),
    ],
)  # fmt: skip
def test_settings_that_name_themselves(settings, rule):
    with pytest.raises(InputError, match=rule):
        quantize(np.ones((2, 64), np.float32), "mxfp4", **settings)


@pytest.mark.parametrize("x", [np.ones(3, complex), np.array(["a"]), np.ones(3, bool), None])
def test_what_is_no_number(x):
    with pytest.raises(InputError, match="real numbers"):
        quantize(x, "mxfp4")


def test_a_scalar_has_no_axis():
    with pytest.raises(InputError, match="axis"):
        quantize(1.0, "mxfp4")
    assert quantize(1.0, "fp8_e4m3").dequantize() == 1


def test_policies_of_nan():
    x = np.array([[np.nan, 1.0, *[0.0] * 30], [2.0] * 32], np.float32)
    assert np.isnan(quantize(x, "mxfp8_e4m3").dequantize()).sum() == 32
    kept = quantize(x, "mxfp8_e4m3", nan="element").dequantize()
    assert np.isnan(kept).sum() == 1
    assert kept[0, 1] == 1
    assert quantize(x, "mxfp4", nan="zero").dequantize()[0, 0] == 0
    for name, settings_of in (("mxfp4", {"nan": "element"}), ("int4", {}), ("mxfp4", {"nan": "refuse"})):
        with pytest.raises(InputError, match="NaN"):
            quantize(x, name, **settings_of)
    with pytest.raises(InputError, match="NaN"):
        quantize(x, "fp4_ue5m3_122880")  # whose scale has no NaN


def test_policies_of_infinity():
    x = np.array([[np.inf, 1.0, *[0.0] * 30], [-3.0] * 32], np.float32)
    assert np.isnan(quantize(x, "mxfp4").dequantize()[0]).all()
    ignored = quantize(x, "mxfp4", infinity="ignore").dequantize()
    assert ignored[0, :2].tolist() == [1.5, 1.0]
    assert quantize(x, "mxfp4", infinity="overflow").scales[0, 0] == 128 - 2 + 127
    with pytest.raises(InputError, match="infinities"):
        quantize(x, "mxfp4", infinity="refuse")


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4", "fp4_ue4m3", "int4/fp32@32", "fp4_ue5m3_s"])
def test_zeros_stay_zeros(name):
    assert not quantize(np.zeros((2, 64)), name).dequantize().any()


def test_block_whose_scale_rounds_to_zero_is_zero():
    made = quantize(np.full((1, 16), 1e-3, np.float32), "fp4_ue4m3")
    assert made.scales[0, 0] == 0
    assert not made.dequantize().any()


def test_nvfp4_floors_differ_where_they_must():
    x = np.zeros((1, 32), np.float32)
    x[0, 0], x[0, 16] = 2688.0, 0.01  # the tensor scale is 1
    bytes_of = {
        name: quantize(x, name).scales[0, 1] for name in ("nvfp4", "nvfp4_modelopt", "nvfp4_transformer_engine")
    }
    assert bytes_of == {"nvfp4": 0x08, "nvfp4_modelopt": 0x01, "nvfp4_transformer_engine": 0x01}
    x[0, 16] = 0.001
    assert quantize(x, "nvfp4_modelopt").scales[0, 1] == 1
    assert quantize(x, "nvfp4_transformer_engine").scales[0, 1] == 0


def test_asymmetric_integers_hold_zero_and_both_ends():
    x = np.linspace(-1, 3, 64, dtype=np.float32)
    made = quantize(x, "int8_asymmetric")
    assert made.codes.min() == -128
    assert made.codes.max() == 127
    assert np.abs(made.dequantize() - x).max() <= made.scales / 2 * 1.001
    assert quantize(np.append(x, 0), "int8_asymmetric").dequantize()[-1] == 0
    wide_codes = quantize(x, "uint16/fp32@tensor")
    assert np.abs(wide_codes.dequantize() - x).max() <= wide_codes.scales / 2 * 1.01


def test_calibrated_scales():
    x = wide((4, 32), 8, 2)
    first = quantize(x, "int8/fp32@channel")
    again = quantize(x, "int8/fp32@channel", scale=first.scales)
    assert np.array_equal(first.data, again.data)
    coarse = quantize(x, "nvfp4", tensor_scale=1.0)
    assert coarse.tensor_scale == 1
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="positive"):
            quantize(x, "int8/fp32@channel", scale=bad)
    with pytest.raises(InputError, match="shape of the scales"):
        quantize(x, "int8/fp32@channel", scale=np.ones((3, 1)))


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 100])
def test_packing_round_trips(bits, count):
    for name in (f"int{bits}", f"uint{bits}"):
        element = format_of(name).element
        codes = RNG.integers(element.lowest_code, element.largest_code + 1, count)
        data = packed(codes, element)
        assert data.size == packed_size(count, bits) == -(-count * bits // 8)
        assert np.array_equal(unpacked(data, element, count), codes)


def test_the_first_code_is_in_the_lowest_bits():
    assert quantize(np.array([1.0, -6.0]), "fp4_e2m1").data.tolist() == [0xF2]
    assert quantize([1.0] * 32, "mxfp4").nbytes == 17


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
@pytest.mark.parametrize(
    "name", ["mxfp4", "nvfp4", "mxfp6_e3m2", "int4_group32_asymmetric", "fp8_e4m3", "int8", "mxint8"]
)
def test_files(tmp_path, ending, name):
    x = wide((5, 48), 9, 3)
    made = quantize(x, name)
    path = tmp_path / f"tensor.{ending}"
    made.save(path)
    loaded = QuantizedTensor.load(path)
    assert loaded.format == made.format
    assert (loaded.shape, loaded.axis) == (made.shape, made.axis)
    assert same_bits(loaded.dequantize(), made.dequantize())


def test_files_that_hold_something_else(tmp_path):
    made = quantize(np.ones(32), "mxfp4")
    with pytest.raises(InputError, match="npz or"):
        made.save(tmp_path / "tensor.bin")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("other.npz", "text.safetensors", "missing.npz"):
        with pytest.raises(InputError, match=name):
            QuantizedTensor.load(tmp_path / name)
