"""What a mapping remembers changes no result: an entry is the one that a mapper without a past finds."""

import pytest

from accelsim.errors import InfeasibleError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.groups import Entries
from accelsim.mapping.machines import Machines
from accelsim.mapping.single import Room, SingleMapper
from accelsim.workload.expand import expanded
from accelsim.workload.load import load_workload
from accelsim.workload.precision import assign_formats, resolve_precision

ROOMS = (1e9, 4e6, 1e6, 3e5, 1e5, 2e4)


def prepared(workload, architecture):
    arch = load_architecture(architecture).description
    graph = expanded(load_workload(workload))
    choice = resolve_precision(graph, arch.default_precision)
    return assign_formats(graph, choice, arch.vector.format), choice, arch


def found(mapper, graph, index, free_bytes):
    try:
        return mapper.entry(graph, index, Room(free_bytes), 1)
    except InfeasibleError as error:
        return str(error)


@pytest.mark.parametrize("architecture", ["rapid-4core", "systolic-32x32"])
@pytest.mark.parametrize("order", [ROOMS, ROOMS[::-1]], ids=["larger-first", "smaller-first"])
def test_an_entry_does_not_depend_on_what_was_mapped_before(architecture, order):
    graph, choice, arch = prepared("resnet-20", architecture)
    names = sorted(name for name, tensor in graph.tensors.items() if tensor.role == "activation")
    machines = Machines(arch)
    for on_chip in (frozenset(), frozenset(names[::2]), frozenset(names)):
        mapper = SingleMapper(machines, choice, on_chip)
        for free_bytes in order:
            for index in range(0, len(graph.ops), 3):
                fresh = SingleMapper(Machines(arch), choice, on_chip)
                assert found(mapper, graph, index, free_bytes) == found(fresh, graph, index, free_bytes)


def test_promising_spans_are_all_that_could_gain():
    starts, places = [0, 1, 3, 4, 7], frozenset({0, 1, 4, 7})
    alone_s, least_s, again_s = [5.0, 1.0, 4.0, 6.0, 2.0], [1.0, 1.0, 2.0, 1.0, 2.0], [0.5, 0.1, 0.2, 0.4, 0.3]
    entries = Entries(9, starts, alone_s, least_s, again_s, places, 9)
    for stripes in (2, 4, 9):
        begins = sorted(places)
        expected = []
        for position, begin in enumerate(begins):
            for end in [*begins, 9][position + 2 :]:
                first, behind = starts.index(begin), starts.index(end) if end < 9 else len(starts)
                span = slice(first, behind)
                least = sum(least_s[span]) + (stripes - 1) * sum(again_s[span])
                if least < sum(alone_s[span]) - 1e-9:
                    expected.append((begin, end, first, behind - 1))
        columns = [column.tolist() for column in entries.promising(stripes)[:4]]
        assert list(zip(*columns, strict=True)) == expected
