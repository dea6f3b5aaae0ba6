"""Transforms, sampling, computed weights, quantised programs and `torch.cond`."""

from __future__ import annotations

from collections import Counter
from math import log2
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import accelsim  # noqa: E402
from accelsim.errors import InputError, UnknownNameError, UnsupportedError  # noqa: E402
from accelsim.workload.graph import Graph  # noqa: E402
from accelsim.workload.ops import Elementwise, Reduce  # noqa: E402
from accelsim.workload.torch import from_torch  # noqa: E402
from tests.workload.torch_models import Function  # noqa: E402

nn = torch.nn


def work(graph: Graph) -> Counter[str]:
    found: Counter[str] = Counter()
    for op in graph.ops:
        if isinstance(op, Elementwise | Reduce):
            found[op.function] += op.elements
    return found


def butterflies(length: int) -> int:
    return round(length / 2 * log2(length))


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("onesided", [True, False])
def test_short_time_transforms(centred: bool, onesided: bool) -> None:
    window = torch.hann_window(400)

    def spectrogram(x: Any) -> Any:
        made = torch.stft(x, 400, 160, 400, window, center=centred, onesided=onesided, return_complex=True)
        return made.abs()

    signal = torch.randn(2, 16000)
    frames = spectrogram(signal).shape[-1] * 2
    found = work(from_torch(Function(spectrogram), signal))
    assert found["fft"] == frames * butterflies(400)
    assert found["mul"] == frames * 400  # the window
    assert found["complex_abs"] == frames * (201 if onesided else 400)


def test_the_inverse_adds_frames_where_they_overlap() -> None:
    def round_trip(x: Any) -> Any:
        return torch.istft(torch.stft(x, 64, 16, return_complex=True), 64, 16)

    signal = torch.randn(1, 1024)
    frames = torch.stft(signal, 64, 16, return_complex=True).shape[-1]
    found = work(from_torch(Function(round_trip), signal))
    assert found["fft"] == 2 * frames * butterflies(64)
    assert (found["add"], found["div"]) == (frames * 64, round_trip(signal).numel())


@pytest.mark.parametrize(
    ("transform", "shape", "expected"),
    [
        (lambda x: torch.fft.fft(x).real, (3, 512), 3 * butterflies(512)),
        (lambda x: torch.fft.fft(x, n=256, dim=0).real, (512, 3), 3 * butterflies(256)),
        (lambda x: torch.fft.rfft(x).real, (3, 512), 3 * butterflies(512)),
        (lambda x: torch.fft.irfft(torch.fft.rfft(x)), (3, 512), 6 * butterflies(512)),
        (lambda x: torch.fft.fft2(x).real, (5, 16, 64), 5 * (16 * butterflies(64) + 64 * butterflies(16))),
        # The columns of the halved spectrum alone.
        (lambda x: torch.fft.rfft2(x).real, (5, 16, 64), 5 * (16 * butterflies(64) + 33 * butterflies(16))),
        (lambda x: torch.fft.fftn(x, s=(16, 64)).real, (5, 16, 64), 5 * (16 * butterflies(64) + 64 * butterflies(16))),
    ],
)
def test_transforms_along_axes(transform: Any, shape: tuple[int, ...], expected: int) -> None:
    assert work(from_torch(Function(transform), torch.randn(shape)))["fft"] == expected


def test_complex_numbers_cost_their_parts() -> None:
    spectrum = torch.randn(4, 8, dtype=torch.complex64)
    found = work(from_torch(Function(lambda x: (x * x + x * 2.0).abs()), spectrum))
    assert found == {"complex_mul": 32, "mul": 64, "add": 64, "complex_abs": 32}
    with pytest.raises(UnsupportedError, match="computes exp of complex numbers"):
        from_torch(Function(lambda x: torch.exp(x).abs()), spectrum)


@pytest.mark.parametrize(
    ("mode", "function"), [("bilinear", "interpolate"), ("bicubic", "interpolate_cubic"), ("nearest", None)]
)
def test_sampling_on_a_grid(mode: str, function: str | None) -> None:
    def sampled(x: Any, grid: Any) -> Any:
        return nn.functional.grid_sample(x, grid, mode=mode, align_corners=False)

    graph = from_torch(Function(sampled), (torch.randn(2, 3, 8, 8), torch.rand(2, 5, 6, 2)))
    (op,) = graph.ops
    assert getattr(op, "function", None) == (function or "gather")
    assert graph.tensors[op.outputs[0]].elements == 2 * 3 * 5 * 6


def test_a_grid_from_a_matrix_is_a_product() -> None:
    def grid(theta: Any) -> Any:
        return nn.functional.affine_grid(theta, (2, 3, 5, 6), align_corners=False)

    graph = from_torch(Function(grid), torch.randn(2, 2, 3))
    assert (graph.macs, graph.parameters) == (2 * 30 * 3 * 2, 0)


@pytest.mark.parametrize("maker", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_a_normalised_weight_is_computed_at_each_run(maker: Any) -> None:
    module = maker(nn.Conv1d(4, 8, 3))
    graph = from_torch(module.eval(), torch.randn(1, 4, 10))
    assert graph.macs == 8 * 8 * 4 * 3
    assert graph.parameters == sum(each.numel() for each in module.parameters())
    assert work(graph) == {"reduce_l2": 96, "div": 8, "mul": 96}
    assert accelsim.simulate(graph, "systolic-32x32", intervals=False).check()


class Quantised(nn.Module):  # type: ignore[misc,name-defined]
    """What torch.export's quantisation makes of a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-128, 127, (8, 4), dtype=torch.int8))
        self.register_buffer("scale", torch.rand(8))
        self.register_buffer("zero", torch.zeros(8, dtype=torch.int64))
        self.bias = nn.Parameter(torch.zeros(8))

    def forward(self, x: Any) -> Any:
        ops = torch.ops.quantized_decomposed
        x = ops.quantize_per_tensor(x, 0.1, 3, -128, 127, torch.int8)
        x = ops.dequantize_per_tensor(x, 0.1, 3, -128, 127, torch.int8)
        weight = ops.dequantize_per_channel(self.weight, self.scale, self.zero, 0, -128, 127, torch.int8)
        return nn.functional.linear(x, weight, self.bias)


def test_quantised_programs_bring_their_formats() -> None:
    pytest.importorskip("torch.ao.quantization.fx._decomposed")
    graph = from_torch(Quantised().eval(), torch.randn(2, 4))
    labels = [op.label.rpartition("::")[2] for op in graph.ops]
    assert labels == ["quantize_per_tensor", "dequantize_per_tensor", "linear"]
    assert (graph.tensors["weight"].format, graph.tensors["weight"].role) == ("int8", "weight")
    assert (graph.parameters, graph.weight_bytes) == (32 + 8, 32 + 8 * 4)  # scales and zero points are no parameters
    assert graph.recipes["file"].default == "int8"


class Gated(nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.only = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda x: self.second(self.first(x)), lambda x: self.only(x), (x,)) * 2


def test_a_branch_is_chosen() -> None:
    macs = {word: from_torch(Gated().eval(), torch.randn(1, 8), branches={"cond": word}).macs
            for word in ("then", "else", "dearest")}  # fmt: skip
    assert macs == {"then": 128, "else": 64, "dearest": 128}
    graph = from_torch(Gated().eval(), torch.randn(1, 8), branches={"*": "else"})
    assert graph.parameters_used["branch taken by cond"] == "else"
    assert "greater" in work(graph)  # the condition is computed, whichever branch is taken
    with pytest.raises(UnsupportedError, match="--branch cond=then"):
        from_torch(Gated().eval(), torch.randn(1, 8))
    with pytest.raises(UnknownNameError, match="Did you mean 'cond'"):
        from_torch(Gated().eval(), torch.randn(1, 8), branches={"condd": "then"})
    with pytest.raises(InputError, match="weighs a branch"):
        from_torch(Gated().eval(), torch.randn(1, 8), branches={"cond": 0.5})


def test_branches_of_a_saved_program_are_weighed(tmp_path: Path) -> None:
    path = tmp_path / "gated.pt2"
    torch.export.save(torch.export.export(Gated().eval(), (torch.randn(1, 8),)), path)
    found = accelsim.load_outcomes(path, branches={"cond": 0.25})
    assert [(each.probability, each.graph.macs) for each in found] == [(0.25, 128), (0.75, 64)]


def test_branches_inside_branches() -> None:
    class Nested(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            def inner(x: Any) -> Any:
                return torch.cond(x.sum() > 1, lambda x: self.two(self.one(x)), lambda x: x.clone(), (x,))

            return torch.cond(x.sum() > 0, inner, lambda x: self.one(x), (x,))

    module, x = Nested().eval(), torch.randn(1, 8)
    names = {"cond": "then", "cond.then.cond": "else"}
    assert from_torch(module, x, branches=names).macs == 0
    assert from_torch(module, x, branches={"*": "dearest"}).macs == 128
    assert from_torch(module, x, branches={"cond": "dearest", "*": "else"}).macs == 64


def _loops() -> tuple[Any, Any]:
    higher = (
        pytest.importorskip("torch._higher_order_ops.scan"),
        pytest.importorskip("torch._higher_order_ops.while_loop"),
    )
    return higher[0].scan, higher[1].while_loop


class Scanned(nn.Module):  # type: ignore[misc,name-defined]
    """A recurrence of one dense layer over the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Any, xs: Any) -> Any:
        scan, _ = _loops()
        return scan(lambda c, y: (self.layer(c) + y, c * 2), x, xs)


def test_a_scan_is_its_steps() -> None:
    graph = from_torch(Scanned().eval(), (torch.randn(1, 8), torch.randn(5, 1, 8)))
    assert (graph.macs, graph.parameters) == (5 * 64, 72)
    assert [graph.tensors[name].shape for name in graph.outputs] == [(1, 8), (5, 1, 8)]
    assert work(graph) == {"add": 40, "mul": 40}
    assert accelsim.simulate(graph, "systolic-32x32", intervals=False).check()
    with pytest.raises(UnsupportedError, match="unrolls to more than 20000 calls"):
        from_torch(Scanned().eval(), (torch.randn(1, 8), torch.randn(6000, 1, 8)))


def test_a_scan_over_layers_reads_each_layer_once() -> None:
    class Layers(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.randn(6, 8, 8))

        def forward(self, x: Any) -> Any:
            scan, _ = _loops()
            return scan(lambda c, w: (c @ w, c.sum()), x, self.weights)[0]

    graph = from_torch(Layers().eval(), torch.randn(1, 8))
    assert (graph.macs, graph.parameters) == (6 * 64, 6 * 64)


def test_a_loop_runs_as_often_as_the_user_says(tmp_path: Path) -> None:
    class Until(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            _, while_loop = _loops()
            return while_loop(lambda x: x.sum() > 0, lambda x: (self.layer(x),), (x,))[0]

    module, x = Until().eval(), torch.randn(1, 8)
    with pytest.raises(UnsupportedError, match="--trips while_loop=N"):
        from_torch(module, x)
    for steps in (0, 1, 7):
        graph = from_torch(module, x, trips={"while_loop": steps})
        assert (graph.macs, work(graph)["greater"]) == (steps * 64, steps + 1)  # the condition is computed once more
        assert graph.parameters_used["steps of while_loop"] == steps
    path = tmp_path / "until.pt2"
    torch.export.save(torch.export.export(module, (x,)), path)
    assert accelsim.load_workload(path, trips={"*": 3}).macs == 3 * 64
    with pytest.raises(UnknownNameError, match="Did you mean 'while_loop'"):
        from_torch(module, x, trips={"whileloop": 2})
    with pytest.raises(InputError, match="whole number of steps"):
        from_torch(module, x, trips={"while_loop": -1})
