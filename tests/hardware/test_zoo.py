"""The bundled chips: published peaks and power, constants that follow a formula, and every network on every chip."""

import pytest

from accelsim.errors import InfeasibleError
from accelsim.hardware.load import load_architecture
from accelsim.numerics import FORMATS
from accelsim.numerics.formats import Float
from accelsim.pipeline import evaluate
from accelsim.workload.load import list_workloads, load_workload

CHIPS = ("rapid-4core", "tpu-v1", "tpu-v4i", "eyeriss-like", "mx-npu", "edge-npu", "northpole-like")
CONVOLUTIONAL = ("resnet", "mobilenet", "vgg")
NETWORKS = [name for name, _ in list_workloads() if name.startswith(CONVOLUTIONAL) or name in ("gemm", "mlp", "conv")]
TERA = 1e12


@pytest.fixture(params=CHIPS)
def chip(request):
    return load_architecture(request.param)


def peak_watts(description, precision):
    """MACs of every array, DRAM at its whole bandwidth, and leakage."""
    macs_per_s = description.peak_ops_per_s(precision) / 2
    dram = description.memory.dram
    moved = dram.bandwidth_bytes_per_s.value * dram.energy_pj_per_byte.value
    macs = macs_per_s * description.unit(precision, op="test").energy_pj_per_mac.value
    return (macs + moved) * 1e-12 + description.leakage_w.value


# Published peaks


@pytest.mark.parametrize(
    ("name", "precision", "tera"),
    [
        ("rapid-4core", "hfp8", 26.2),  # JSSC 2022; ISSCC 2021 rounds to 25.6
        ("rapid-4core", "int4", 104.9),
        ("tpu-v1", "int8", 92.0),  # ISCA 2017
        ("tpu-v4i", "bf16", 138.0),  # ISCA 2021
        ("tpu-v4i", "int8", 138.0),
        ("eyeriss-like", "fp16", 0.0672),  # JSSC 2017: 168 PEs at 200 MHz, 33.6 GMAC/s
        ("edge-npu", "int8", 4.096),  # Arm Ethos-N77, INT8
        ("edge-npu", "fp16", 1.024),  # Arm Ethos-N77, INT16
    ],
)
def test_published_peak_rates(name, precision, tera):
    assert load_architecture(name).description.peak_ops_per_s(precision) == pytest.approx(tera * TERA, rel=0.02)


@pytest.mark.parametrize(("precision", "operations"), [("int8", 2048), ("int4", 4096), ("int2", 8192)])
def test_northpole_operations_a_core_and_cycle(precision, operations):
    """Modha et al., Science 2023; an operation is half of a MAC (see the next test)."""
    assert load_architecture("northpole-like").description.macs_per_cycle(precision) * 2 / 256 == operations


def test_northpole_rates_of_a_card():
    """DeBole et al., arXiv 2511.15950: 115 peta-ops at 4 bits and 3.7 PB/s on 288 cards; the clock is not stated."""
    description = load_architecture("northpole-like").description
    clock = description.clocks["core"].clock_hz
    ends = [description.peak_ops_per_s("int4") * end / clock.value for end in (clock.low, clock.high)]
    assert ends[0] <= 115e15 / 288 <= ends[1]
    assert description.memory.dram.bandwidth_bytes_per_s.value == pytest.approx(3.7e15 / 288, rel=0.02)
    port = description.scratchpad.bandwidth_bytes_per_cycle.value * description.n_cores * clock.value
    assert port == pytest.approx(description.memory.dram.bandwidth_bytes_per_s.value, rel=0.02)


def test_northpole_memory():
    """192 MB on 256 cores, all of it divided between weights and activations."""
    description = load_architecture("northpole-like").description
    activations = description.scratchpad.capacity_bytes.value * description.n_cores
    assert activations + description.memory.dram.capacity_bytes.value == 192 * 2**20


# Published efficiency and power


@pytest.mark.parametrize(
    ("name", "precision", "tera_per_joule"),
    [
        ("rapid-4core", "hfp8", 3.5),  # calibrated on ISCA 2021
        ("rapid-4core", "int4", 16.5),  # calibrated on ISCA 2021
        ("tpu-v1", "int8", 92 / 40),  # calibrated on ISCA 2017: 40 W busy
        ("eyeriss-like", "fp16", 0.1662),  # calibrated on JSSC 2017: 278 mW at 34.7 frames/s of 666 MMAC
    ],
)
def test_calibrated_efficiencies(name, precision, tera_per_joule):
    description = load_architecture(name).description
    assert description.unit(precision, op="test").energy_pj_per_mac.source.startswith("calibrated on")
    assert description.peak_ops_per_joule(precision) == pytest.approx(tera_per_joule * TERA, rel=0.02)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_tpu_v4i_peak_power_is_below_its_tdp(precision):
    """Nothing is calibrated on the 175 W, which also feed vector units and on-chip memories."""
    assert 0.4 * 175 < peak_watts(load_architecture("tpu-v4i").description, precision) < 175


# Constants that have a formula


@pytest.mark.parametrize("name", load_architecture("mx-npu").description.array.units)
def test_mx_npu_energies_follow_the_formula_in_its_file(name):
    unit, stored = load_architecture("mx-npu").description.array.units[name], FORMATS[name]
    element = stored.element
    exponent = element.exponent_bits if isinstance(element, Float) else 0
    significand = element.mantissa_bits + 1 if isinstance(element, Float) else element.bits
    fixed_point = significand + 2**exponent - 2 if exponent else significand
    shared = min(unit.reduction_per_pe.value, stored.block or unit.reduction_per_pe.value)
    scale = 0.0
    if stored.block:  # powers of two are added and shift; others are multiplied, with an exponent bit more in UE5M3
        power = not isinstance(stored.scale, Float)
        scale = 0.007 + 0.03 if power else 0.09 + 0.35 + 0.0175 * (stored.scale.exponent_bits - 4)
    energy = (
        0.07 * significand**2 / 64
        + (0.21 - 0.07) / 8 * exponent
        + 0.03 * min(32, 2 * fixed_point + 6) / 32
        + 0.38 / shared
        + (scale / stored.block if stored.block else 0)
        + 0.006 * element.bits
    )
    constant = unit.energy_pj_per_mac
    assert constant.value == pytest.approx(energy, rel=0.01)
    assert constant.low <= 0.7 * energy
    assert constant.high >= 1.5 * energy


def test_mx_npu_macs_by_width():
    """128 bits of an operand a cycle; 6-bit elements travel in 8-bit slots; and whole blocks or whole parts of them."""
    description = load_architecture("mx-npu").description
    for name, unit in description.array.units.items():
        stored, reduction = FORMATS[name], int(unit.reduction_per_pe.value)
        slot = 8 if stored.element.bits == 6 else stored.element.bits
        assert unit.macs_per_pe == reduction == 128 // slot
        assert stored.block is None or reduction % stored.block == 0 or stored.block % reduction == 0


def test_fewer_bits_never_cost_more_energy_a_mac():
    units = load_architecture("mx-npu").description.array.units
    energy = {name: unit.energy_pj_per_mac.value for name, unit in units.items()}
    assert energy["mxfp4"] < energy["nvfp4"] < energy["mxfp6_e2m3"] < energy["mxfp8_e4m3"] < energy["bf16"]


# Networks


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_runs_on_every_chip(chip, name):
    assert evaluate(load_workload(name), chip, chip.description.default_precision).check() == []


@pytest.mark.parametrize("precision", load_architecture("mx-npu").description.array.units)
def test_every_format_of_the_mx_npu_runs(precision):
    result = evaluate(load_workload("resnet-50"), load_architecture("mx-npu"), precision)
    assert result.check() == []
    assert result.weight_bytes == pytest.approx(25.5e6 * FORMATS[precision].bytes_per_element, rel=0.01)


def test_northpole_refuses_a_network_that_its_memory_does_not_hold():
    with pytest.raises(InfeasibleError, match="capacity"):
        evaluate(load_workload("gpt2-medium"), load_architecture("northpole-like"), "int8")


def test_more_memory_on_the_chip_never_slows_tpu_v4i_down():
    """0, 16, 72 and 112 MB of CMEM behind 16 MB of VMEM, the sizes that ISCA 2021 compares."""
    chip = load_architecture("tpu-v4i")
    sizes = [(16 + cmem) * 2.0**20 for cmem in (0, 16, 72, 112)]
    workload = load_workload("resnet-50", batch=8)
    chips = [chip.override({"scratchpad.capacity_bytes": size}) for size in sizes]
    times = [evaluate(workload, each, "bf16").latency_s for each in chips]
    assert times == sorted(times, reverse=True)
