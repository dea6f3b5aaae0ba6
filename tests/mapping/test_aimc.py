"""Matrices on tiles: everything is held once, nothing overlaps, placements are what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InfeasibleError, UnknownNameError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.aimc.allocate import allocated
from accelsim.mapping.aimc.assign import Wanted, assigned, cut_of
from accelsim.mapping.aimc.choice import resolve_analog
from accelsim.mapping.aimc.chunks import Ready, needed_share
from accelsim.mapping.aimc.place import Flow, _byte_hops, _curves, _exchanged, _gains, _traffic, placed
from accelsim.workload.expand import expanded
from accelsim.workload.load import load_workload
from accelsim.workload.ops import Conv

HERMES = load_architecture("hermes-64core")
MESH = load_architecture("aimc-mesh")


@given(st.integers(1, 40), st.integers(1, 1200), st.integers(1, 1200))
def test_blocks_hold_every_weight_once_and_fit(groups, inputs, outputs):
    cut = cut_of(groups, inputs, outputs, HERMES.description)
    blocks = list(cut.blocks())
    assert len(blocks) == cut.tiles
    # On a shared tile a block is the diagonal of its groups.
    held = sum(rows * columns // count for rows, columns, count in (
        (rows, columns, max(1, -(-rows // inputs)) if cut.groups_per_tile > 1 else 1) for rows, columns, _ in blocks
    ))  # fmt: skip
    assert held == groups * inputs * outputs
    assert all(rows <= 256 and columns <= 256 for rows, columns, _ in blocks)
    assert max(rows for rows, _, _ in blocks) == cut.largest_rows


def wanted(*sizes, vectors=1):
    return {
        f"w{index}": Wanted(f"w{index}", cut_of(1, rows, columns, HERMES.description), vectors, vectors, index)
        for index, (rows, columns) in enumerate(sizes)
    }


def overlaps(matrices):
    """Every cell is drawn, naively: none twice, none outside."""
    tiles = {}
    for each in matrices.values():
        for block in each.blocks:
            cells = tiles.setdefault((each.round, block.tile), np.zeros((256, 256), np.int64))
            there = cells[block.first_row :, block.first_column :][: block.rows, : block.columns]
            assert there.shape == (block.rows, block.columns)
            there += 1
            assert there.max() == 1, each.name


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=70))
def test_allocations_do_not_overlap_and_stay_on_the_chip(sizes):
    weights = sum(rows * columns for rows, columns in sizes)
    try:
        matrices, rounds = allocated(wanted(*sizes), HERMES.description, "test")
    except InfeasibleError:
        assert len(sizes) > 16 or weights > 64 * 256 * 256, "a matrix has four blocks at most"
        return
    assert rounds == 1
    overlaps(matrices)
    assert max(tile for each in matrices.values() for tile in each.tiles) < 64


def test_small_matrices_share_tiles_only_where_tiles_are_short():
    roomy, _ = allocated(wanted(*[(128, 256)] * 64), HERMES.description, "test")
    assert len({each.resource for each in roomy.values()}) == 64
    tight, _ = allocated(wanted(*[(128, 256)] * 100), HERMES.description, "test")
    held = [each.resource for each in tight.values()]
    assert max(map(held.count, held)) == 2, "two by two, and no more of them than must be"
    assert sum(held.count(each) == 1 for each in held) == 28
    overlaps(tight)
    corners, _ = allocated(wanted(*[(128, 128)] * 256), HERMES.description, "test")
    assert len({tile for each in corners.values() for tile in each.tiles}) == 64
    overlaps(corners)


def test_copies_go_where_vectors_queue():
    sizes = wanted((256, 256), (256, 256))
    sizes["w0"].vectors = sizes["w0"].batch = 1000
    matrices, _ = allocated(sizes, HERMES.description, "test")
    assert matrices["w0"].replicas == 63
    assert matrices["w1"].replicas == 1, "its vectors come one by one"


def test_a_matrix_larger_than_all_tiles_says_how_many_it_needs():
    with pytest.raises(InfeasibleError, match=r"needs 256 tiles.*64 tiles"):
        allocated(wanted((4096, 4096)), HERMES.description, "test")


def test_rounds_where_the_chip_may_be_written():
    arch = HERMES.override({"tile.programming.time_multiplexed": True}).description
    matrices, rounds = allocated(wanted(*[(1024, 1024)] * 10), arch, "test")
    assert rounds == 3
    assert [each.round for each in matrices.values()] == [0] * 4 + [1] * 4 + [2] * 2
    overlaps(matrices)
    with pytest.raises(InfeasibleError, match="256 tiles"):
        allocated(wanted((4096, 4096)), arch, "test")


def random_flows(seed, tiles, count=12):
    random = np.random.default_rng(seed)
    return [
        Flow(0, tuple(map(int, random.choice(tiles, 2, replace=False))), (int(random.integers(tiles)),),
             float(random.integers(1, 100)))
        for _ in range(count)
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_placements_are_permutations_between_the_bound_and_the_curves(seed):
    arch = HERMES.description
    flows = random_flows(seed, arch.n_tiles)
    found = placed(flows, arch)
    assert len({tuple(each) for each in found.positions.tolist()}) == 64
    assert found.least_byte_hops <= found.byte_hops
    assert found.byte_hops <= min(_byte_hops(flows, curve) for curve in _curves(8, 8)) + 1e-6
    assert found.byte_hops == pytest.approx(
        sum(flow.moved_bytes * hops for flow, hops in zip(flows, found.hops, strict=True))
    )


def test_what_an_exchange_saves_is_what_it_says():
    flows = random_flows(3, 64)
    moved, place = _traffic(flows, 64), next(iter(_curves(8, 8))).copy()
    before = _byte_hops(flows, place)
    gains = _gains(5, place, moved)
    for other in (0, 4, 17, 63):
        swapped = place.copy()
        swapped[[5, other]] = swapped[[other, 5]]
        assert gains[other] == pytest.approx(_byte_hops(flows, swapped) - before, abs=1e-6)
    assert _byte_hops(flows, _exchanged(place, moved)[0]) < before


def test_products_of_activations_need_digital_cores():
    graph = expanded(load_workload("bert-base"))
    choice = resolve_analog(graph, "analog", MESH.description)
    units = {each.op.name: each.unit for each in assigned(graph, MESH.description, choice)[0]}
    assert units["layer.0.attention.scores"] == "cores"
    with pytest.raises(UnsupportedError, match="two activations"):
        assigned(graph, HERMES.description, choice)


def test_formats_go_to_the_cores_and_analog_to_the_tiles():
    graph = expanded(load_workload("mlp"))
    choice = resolve_analog(graph, {"layer.0": "int4", "*": "analog"}, MESH.description)
    found = {each.op.name: (each.unit, each.precision) for each in assigned(graph, MESH.description, choice)[0]}
    assert found["layer.0"] == ("cores", "int4")
    assert found["layer.1"] == ("tile", "analog")
    with pytest.raises(UnsupportedError, match="analog"):
        assigned(graph, HERMES.description, resolve_analog(graph, "int8", HERMES.description))
    with pytest.raises(UnknownNameError):
        resolve_analog(graph, "analogue", HERMES.description)


def test_chunks_wait_for_the_rows_under_the_window():
    op = Conv(name="c", inputs=("x", "w"), outputs=("y",), batch=1, in_channels=1, out_channels=1, input_size=(8, 8),
              output_size=(8, 8), kernel=(3, 3), stride=(1, 1), padding=(1, 1))  # fmt: skip
    shares = [needed_share(op, None, 0, chunk, 8) for chunk in range(8)]
    assert shares == [min((row + 2) / 8, 1.0) for row in range(8)]
    ready = Ready((10, 11, 12, 13))
    assert [ready.after(share) for share in (0.0, 0.1, 0.25, 0.26, 1.0)] == [-1, 10, 10, 11, 13]
