"""Mixtures of experts as one operator (``MoE`` and ``QMoE`` of ``com.microsoft``): rows visit k of the experts.

Which experts are visited depends on the data. Visits are spread evenly over as many experts as there are visits, at
most all. Each expert's weights are tensors of their own, parts of the one that the file stores; those that no row
visits are listed and not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from accelsim.workload.onnx.lower import Lowering
from accelsim.workload.onnx.site import Site, converts
from accelsim.workload.onnx.storage import stored_tensor
from accelsim.workload.ops import Op

__all__: list[str] = []

MS = "com.microsoft"

_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "silu", "identity": "identity", "swiglu": "silu"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Input places of the layers into, out of and (for a gate) beside; scales stand between them in QMoE."""

    inner: int
    outer: int
    gate: int
    bias: int  # from a weight to its bias


@dataclass(slots=True)
class _Mixture:
    """One node: its sizes, and where its ops go. ``wide`` is twice ``hidden`` where the first layer holds a gate."""

    site: Site
    at: _Layout
    lower: Lowering
    bits: int | None
    experts: int
    width: int
    hidden: int
    wide: int
    activation: str

    def weights(self, place: int, first: int, last: int, k: int, n: int) -> str:
        """The weights of some experts (last - first, k, n), as a part of what the file stores."""
        if not self.site.constant(place):
            raise self.site.unsupported("needs weights that are constants", value=self.site.shape(place))
        name = f"{self.site.weight(place)}[{first}:{last}]"
        element = None if self.bits else self.site.type(place).element
        self.site.packed[name] = stored_tensor(name, (last - first, k, n), "weight", element, self.bits)
        return name

    def layer(self, part: str, source: str, place: int, span: tuple[int, int], rows: int, k: int, n: int) -> str:
        """One layer of the experts in ``span``, each on ``rows`` rows."""
        first, last = span
        weight, shape = self.weights(place, first, last, k, n), (last - first, rows, n)
        here = self.lower.product(f"{part}@{first}", source, weight, shape, groups=last - first, m=rows, n=n, k=k)
        if not self.site.has(place + self.at.bias):
            return here
        bias = self.site.weight(place + self.at.bias)
        return self.lower.elementwise(f"{part}_bias@{first}", "add", (here, bias), shape)

    def visit(self, reads: tuple[str, ...], span: tuple[int, int], rows: int) -> str:
        """The experts in ``span`` on ``rows`` rows each."""
        first, last = span
        lower, hidden, inside = self.lower, self.hidden, (last - first, rows, self.hidden)
        given = lower.move(f"dispatch@{first}", "gather", reads, (last - first, rows, self.width))
        here = self.layer("fc1", given, self.at.inner, span, rows, self.width, self.wide)
        beside = None
        if self.wide == 2 * hidden:
            here, beside = lower.split(f"halves@{first}", here, (inside, inside))
        here = lower.elementwise(f"activation@{first}", self.activation, (here,), inside)
        if self.site.has(self.at.gate):
            beside = self.layer("fc3", given, self.at.gate, span, rows, self.width, hidden)
        if beside is not None:
            here = lower.elementwise(f"gate@{first}", "mul", (here, beside), inside)
        return self.layer("fc2", here, self.at.outer, span, rows, hidden, self.width)

    def idle(self, visited: int) -> tuple[str, ...]:
        """The weights of experts that no row visits."""
        if visited == self.experts:
            return ()
        sizes = {self.at.inner: (self.width, self.wide), self.at.outer: (self.hidden, self.width)}
        sizes |= {self.at.gate: (self.width, self.hidden)} if self.site.has(self.at.gate) else {}
        return tuple(self.weights(place, visited, self.experts, k, n) for place, (k, n) in sizes.items())


@converts("MoE", domain=MS)
def _experts(site: Site) -> Op:
    return _mixture(site, _Layout(2, 4, 6, bias=1), None)


@converts("QMoE", domain=MS)
def _quantised_experts(site: Site) -> Op:
    """Weights in few bits, several in a byte."""
    bits = site.integer("expert_weight_bits", 4)
    if bits not in (4, 8):
        raise site.unsupported("stores weights in other than 4 or 8 bits", value=bits)
    return _mixture(site, _Layout(2, 5, 8, bias=2), bits)


def _mixture(site: Site, at: _Layout, bits: int | None) -> Op:
    """Choose, compute each visited expert on its rows, weigh and add."""
    *outer, width = site.shape(0)
    rows, experts, chosen = prod(outer), site.shape(1)[-1], site.integer("k", 1)
    activation = site.string("activation_type", "relu")
    if activation not in _ACTIVATIONS or not 1 <= chosen <= experts:
        raise site.unsupported(f"activates by {activation} the {chosen} best of {experts} experts")
    lower = Lowering(site)
    hidden, wide = _sizes(site, at, experts, width, 8 // bits if bits else 1)
    mixture = _Mixture(site, at, lower, bits, experts, width, hidden, wide, _ACTIVATIONS[activation])
    visits = rows * chosen
    visited = min(experts, visits)
    scores = lower.reduce("softmax", "softmax", (site.data(1),), rows * experts, (rows, experts))
    routing = lower.reduce("top_k", "top_k", (scores,), rows * experts, (rows, chosen))
    lower.move("select", "identity", (routing, *mixture.idle(visited)), (rows, chosen), view=True)
    each, more = divmod(visits, visited)
    spans = [((0, more), each + 1), ((more, visited), each)]
    reads = site.data(0), routing
    results = tuple(mixture.visit(reads, span, count) for span, count in spans if span[1] > span[0])
    here = lower.move("collect", "scatter", results, (rows, chosen, width))
    here = lower.elementwise("weigh", "mul", (here, routing), (rows, chosen, width))
    lower.reduce("combine", "reduce_sum", (here,), visits * width, site.out().shape, site.outputs[0])
    return lower.last()


def _sizes(site: Site, at: _Layout, experts: int, width: int, per_byte: int) -> tuple[int, int]:
    """Hidden units of an expert, and columns of its first layer: twice as many where a gate is part of it."""
    first, second = site.shape(at.inner), site.shape(at.outer)
    hidden, wide = (prod(each) * per_byte // (experts * width) for each in (second, first))
    whole = [experts * width * each for each in (hidden, wide)]
    if whole != [prod(second) * per_byte, prod(first) * per_byte] or hidden < 1 or wide not in (hidden, 2 * hidden):
        raise site.error(f"has weights {list(first)} and {list(second)}, which do not fit {experts} experts of {width}")
    return hidden, wide
