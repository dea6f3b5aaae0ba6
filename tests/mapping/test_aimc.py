"""Matrices on tiles: everything is held once, nothing overlaps, placements are what they say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InfeasibleError, UnknownNameError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.aimc import lower
from accelsim.mapping.aimc.allocate import allocated
from accelsim.mapping.aimc.assign import Wanted, assigned, cut_of
from accelsim.mapping.aimc.choice import resolve_analog, stored_choice
from accelsim.mapping.aimc.chunks import Ready, needed_share
from accelsim.mapping.aimc.lower import lower_aimc
from accelsim.mapping.aimc.mapper import map_aimc
from accelsim.mapping.aimc.pack import packed
from accelsim.mapping.aimc.place import Flow, _apart, _byte_hops, _curves, _exchanged, _gains, _traffic, placed
from accelsim.mapping.aimc.records import Block, Cut, StoredMatrix
from accelsim.workload.expand import expanded
from accelsim.workload.load import load_workload
from accelsim.workload.ops import Conv
from accelsim.workload.precision import assign_formats

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
            cells = tiles.setdefault((each.round, block.tile), np.zeros((2, 256, 256), np.int64))
            pages = cells if block.page is None else cells[block.page : block.page + 1]
            there = pages[:, block.first_row :, block.first_column :][:, : block.rows, : block.columns]
            assert there.shape[1:] == (block.rows, block.columns)
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


def in_pages():
    """Four tiles of 256 x 256 weights of four cells, or of two."""
    arch = load_architecture("analog-34tile")
    sizes = {"chips": 1, "mesh.rows": 2, "mesh.columns": 2, "tile.rows": 256, "tile.columns": 1024}
    return arch.override(sizes).description


def test_matrices_are_cut_finer_where_rests_would_stay_empty():
    """Three of 160 x 256 need a tile each, in two parts of 80 rows they fit two."""
    arch = HERMES.override({"mesh.rows": 1, "mesh.columns": 2}).description
    sizes = wanted(*[(160, 256)] * 3)
    assert packed(list(sizes.values()), arch)[1] == 3
    matrices, _ = allocated(sizes, arch, "test")
    overlaps(matrices)
    assert max(tile for each in matrices.values() for tile in each.tiles) == 1
    assert {each.cut.row_parts for each in matrices.values()} == {2}
    with pytest.raises(InfeasibleError, match="needs 3 tiles"):
        allocated(wanted((160, 256), (160, 256), (200, 256)), arch, "test")


def test_pages_are_taken_where_tiles_are_short():
    roomy, _ = allocated(wanted(*[(256, 256)] * 4), in_pages(), "test")
    assert {each.cut.pages for each in roomy.values()} == {1}
    sizes = wanted(*[(256, 256)] * 5)
    sizes["w0"].vectors = 9
    tight, _ = allocated(sizes, in_pages(), "test")
    assert [each.cut.pages for each in tight.values()] == [1, 2, 2, 1, 1], "those with the fewest vectors"
    assert tight["w1"].resource == tight["w2"].resource, "one page is read at a time"
    assert tight["w1"].tiles == tight["w2"].tiles
    overlaps(tight)
    full, _ = allocated(wanted(*[(256, 256)] * 8), in_pages(), "test")
    overlaps(full)
    with pytest.raises(InfeasibleError, match=r"needs 5 tiles.*4 tiles"):
        allocated(wanted(*[(256, 256)] * 9), in_pages(), "test")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 700), st.integers(1, 700)), min_size=1, max_size=12))
def test_pages_hold_every_block_and_none_twice(sizes):
    try:
        matrices, _ = allocated(wanted(*sizes), in_pages(), "test")
    except InfeasibleError:
        assert sum(-(-rows // 256) * -(-columns // 256) for rows, columns in sizes) > 4
        return
    overlaps(matrices)
    assert max(tile for each in matrices.values() for tile in each.tiles) < 4
    for each in matrices.values():
        assert sorted((block.rows, block.columns, block.row_part) for block in each.blocks) == sorted(
            [*each.cut.blocks()] * each.replicas
        )


def test_blocks_of_a_tile_are_read_together_only_on_the_same_rows():
    cut = Cut(1, 100, 60, 2, 2, 1)
    side_by_side = [Block(0, 50, 30, 0, 0, 0), Block(0, 50, 30, 0, 0, 30)]
    below = [Block(0, 50, 30, 1, 50, 0), Block(1, 50, 30, 1, 0, 0)]
    matrix = StoredMatrix("w", cut, 1, (*side_by_side, *below), "w")
    assert sorted(matrix.reads) == [(30,), (60, 30)]
    assert (matrix.port_rows, matrix.summed_columns) == (100, 60)


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
    distance = _apart(place)
    gains = _gains(5, distance, moved, (moved * distance).sum(axis=1))
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


LOOPS = [
    ("lstm", "hermes-64core", "tile", "analog"), ("dblstm-3x250", "aimc-mesh", "op", "analog"),
    ("rnnt-mlperf", "aimc-mesh", "op", "analog"), ("rnnt-mlperf", "aimc-mesh", "op", "int8"),
    ("conformer", "aimc-mesh", "op", "analog"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "architecture", "detail", "precision"), LOOPS)
def test_copied_steps_are_the_steps_themselves(name, architecture, detail, precision, monkeypatch):
    """Lowered once with copies and once step by step."""
    arch = load_architecture(architecture)
    workload = load_workload(name, audio_s=0.5) if name in ("rnnt-mlperf", "conformer") else load_workload(name)
    graph = expanded(workload)
    choice = resolve_analog(graph, precision, arch.description)
    stored = assign_formats(graph, stored_choice(choice, arch.description), arch.description.value_format)
    mapping = map_aimc(stored, arch.description, choice)
    copied = lower_aimc(mapping, arch.description, detail)
    ends = iter(range(10**9))
    monkeypatch.setattr(lower, "state_of", lambda *_: next(ends))  # no step leaves what another left
    stepwise = lower_aimc(mapping, arch.description, detail)
    for column in ("resource", "action", "amount", "op"):
        assert np.array_equal(getattr(copied, column), getattr(stepwise, column))
    assert predecessors(copied) == predecessors(stepwise)


def predecessors(tasks):
    bounds = pairwise(tasks.pred_ptr.tolist())
    return [frozenset(tasks.pred[first:end].tolist()) for first, end in bounds]


def test_chunks_wait_for_the_rows_under_the_window():
    op = Conv(name="c", inputs=("x", "w"), outputs=("y",), batch=1, in_channels=1, out_channels=1, input_size=(8, 8),
              output_size=(8, 8), kernel=(3, 3), stride=(1, 1), padding=(1, 1))  # fmt: skip
    shares = [needed_share(op, None, 0, chunk, 8) for chunk in range(8)]
    assert shares == [min((row + 2) / 8, 1.0) for row in range(8)]
    ready = Ready((10, 11, 12, 13))
    assert [ready.after(share) for share in (0.0, 0.1, 0.25, 0.26, 1.0)] == [-1, 10, 10, 11, 13]
