"""Recurrent layers: each stays one op a layer, both directions together."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.workload.ops import GATES, Recurrent
from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.program import TensorType
from accelsim.workload.torch.site import Site, converts

_CELLS = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}


@dataclass(frozen=True, slots=True)
class _Stack:
    """The layers of one call."""

    cell: str
    layers: int
    directions: int
    steps: int
    batch: int
    weights: tuple[tuple[Value, ...], ...]  # a direction: input, recurrent, biases, projection
    states: tuple[Value, ...]
    hidden: int
    projected: int

    @property
    def output_size(self) -> int:
        return self.projected or self.hidden


@converts(*_CELLS)
def _layers(site: Site) -> None:
    """The arguments of `torch.lstm` and its kin: outputs are the sequence and the last states of all layers."""
    stack = _read(site)
    finals: list[list[str]] = [[] for _ in site.call.outputs[1:]]
    source, states = site.data(site.tensor("input")), _given_states(site, stack)
    for layer in range(stack.layers):
        last = layer == stack.layers - 1
        weights = stack.weights[layer * stack.directions : (layer + 1) * stack.directions]
        op = _layer(site, stack, layer, source, weights, states, last=last)
        source = op.outputs[0]
        for kept, name in zip(finals, op.outputs[1:], strict=False):
            kept.append(name)
    if stack.layers > 1:
        for index, names in enumerate(finals):
            _concatenated(site, index + 1, names)


def _read(site: Site) -> _Stack:
    if "batch_sizes" in site.call.arguments:
        remedy = "export it on padded sequences: their steps are then known"
        raise site.unsupported("takes packed sequences, whose steps the data decides", remedy=remedy)
    cell, source = _CELLS[site.key], site.tensor("input").type.shape
    steps, batch = (source[1], source[0]) if site.flag("batch_first") else (source[0], source[1])
    directions, layers = (2 if site.flag("bidirectional") else 1), site.integer("num_layers", 1)
    stored = site.argument("params")
    weights = tuple(each for each in stored if isinstance(each, Value)) if isinstance(stored, tuple) else ()
    count = len(weights) // (layers * directions)
    if not count or count * layers * directions != len(weights):
        raise site.error(f"has {len(weights)} weights for {layers} layers in {directions} directions")
    if site.flag("train") and layers > 1 and site.argument("dropout", 0.0) != 0:
        raise site.trains()
    given = site.argument("hx")
    states = given if isinstance(given, tuple) else (given,)
    hidden = weights[0].type.shape[0] // GATES[cell]
    projection = count == 3 or count == 5
    return _Stack(
        cell, layers, directions, steps, batch,
        tuple(weights[i : i + count] for i in range(0, len(weights), count)),
        tuple(each for each in states if isinstance(each, Value)),
        hidden, weights[1].type.shape[1] if projection else 0,
    )  # fmt: skip


def _given_states(site: Site, stack: _Stack) -> list[str]:
    """Initial states of all layers; none where they are constants, which are zeros."""
    if all(each.origin == "constant" for each in stack.states):
        return []
    names = []
    for index, each in enumerate(stack.states):
        stored = each.origin in ("parameter", "buffer") and each.name not in site.plain.states
        kind = TensorType(each.type.dtype, each.type.shape, ())
        names.append(
            site.move("copy", (site.weight(each),), kind=kind, suffix=f"initial{index}") if stored else site.data(each)
        )
    return names


def _layer(
    site: Site, stack: _Stack, layer: int, source: str, weights: tuple[tuple[Value, ...], ...], states: list[str],
    *, last: bool,
) -> Recurrent:  # fmt: skip
    suffix = f"layer{layer}" if stack.layers > 1 else ""
    dtype = weights[0][0].type.dtype
    sequence, recurrent, *rest = (_both(site, each) for each in zip(*weights, strict=True))
    projection = (rest.pop(),) if stack.projected else ()
    sizes = (stack.output_size, stack.hidden)
    initial = []
    for name, size, which in zip(states, sizes, "hc", strict=False):
        kind = TensorType(dtype, (stack.directions, stack.batch, size), ())
        of_layer = f"{suffix}.{which}0"
        one = stack.layers == 1
        initial.append(name if one else site.move("slice", (name,), view=True, kind=kind, suffix=of_layer))
    whole = TensorType(dtype, (stack.steps, stack.batch, stack.directions * stack.output_size), ())
    outputs = [_output(site, 0, whole, f"{suffix}sequence") if last else site.intermediate(f"{suffix}.sequence", whole)]
    for index, size in enumerate(sizes[: len(site.call.outputs) - 1]):
        kind = TensorType(dtype, (stack.directions, stack.batch, size), ())
        state = f"{suffix}state{index}"
        outputs.append(_output(site, index + 1, kind, state) if stack.layers == 1 else site.intermediate(state, kind))
    op = Recurrent(
        name=f"{site.name}.{suffix}" if suffix else site.name,
        inputs=(source, sequence, recurrent, *projection, *rest, *initial),
        outputs=tuple(outputs), label=site.key, cell=stack.cell, steps=stack.steps, batch=stack.batch,
        input_size=weights[0][0].type.shape[1], hidden_size=stack.hidden, directions=stack.directions,
        projection_size=stack.projected,
    )  # fmt: skip
    site.emit(op)
    return op


def _output(site: Site, index: int, kind: TensorType, suffix: str) -> str:
    """Output ``index`` of the call; a tensor that nothing reads where it is not used."""
    value = site.call.outputs[index] if index < len(site.call.outputs) else None
    return value.name if value is not None else site.intermediate(suffix, kind)


def _both(site: Site, weights: tuple[Value, ...]) -> str:
    """One weight for both directions, which torch stores apart."""
    return site.weight(weights[0]) if len(weights) == 1 else site.stacked(weights)


def _concatenated(site: Site, index: int, names: list[str]) -> None:
    value = site.call.outputs[index] if index < len(site.call.outputs) else None
    if value is not None:
        site.move_to(value, "concat", names, suffix=f"state{index - 1}")


@converts("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def _cell(site: Site) -> None:
    """One time step."""
    cell = _CELLS[site.key.removesuffix("_cell")]
    source, given = site.tensor("input"), site.argument("hx")
    states = [each for each in (given if isinstance(given, tuple) else (given,)) if isinstance(each, Value)]
    weights = site.weights("w_ih", "w_hh", "b_ih", "b_hh")
    batch, size = source.type.elements // source.type.shape[-1], source.type.shape[-1]
    hidden = site.tensor("w_hh").type.shape[1]
    initial = () if all(each.origin == "constant" for each in states) else tuple(map(site.data, states))
    kind = TensorType(source.type.dtype, (batch, hidden), ())
    if cell == "lstm":
        made = (_output(site, 0, kind, "h"), _output(site, 1, kind, "c"))
        outputs: tuple[str, ...] = (site.intermediate("sequence", kind), *made)
    else:
        outputs = (_output(site, 0, kind, "h"),)
    op = Recurrent(
        name=site.name, inputs=(site.data(source), *weights, *initial), outputs=outputs, label=site.key, cell=cell,
        steps=1, batch=batch, input_size=size, hidden_size=hidden,
    )  # fmt: skip
    site.emit(op)
