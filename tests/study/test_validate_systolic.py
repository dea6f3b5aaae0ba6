"""Target systolic: every reference row, users' folders, and a simulation that moves every word, cycle by cycle."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.documents import bundled_folder
from accelsim.errors import UnsupportedError
from accelsim.study.validate import validate
from accelsim.study.validate.systolic import ArrayFigures, ArrayRun, array_figures

BUNDLED = bundled_folder("validation") / "systolic"
METRICS = list(ArrayFigures.__dataclass_fields__)


def test_every_reference_row_is_exact():
    families = validate(["systolic"]).targets["systolic"].families
    counts = {name: (len(each.rows), each.compared, each.failed, each.exact) for name, each in families.items()}
    assert counts == {"systolic_cycles": (65, 65, 0, 65), "systolic_small_arrays": (240, 240, 0, 240)}
    for family in families.values():
        assert family.errors.mape == family.errors.median_ape == family.errors.worst == 0
        assert set(family.metrics) == set(METRICS)
        assert all(each.compared == len(family.rows) for each in family.metrics.values())


def test_the_known_deviation_shows_the_figure_of_the_program():
    """Output stationary only: 64 x 64 outputs on 32 x 32, four folds, so 4 (32 + 32) more than the 4096 outputs."""
    family = validate(["systolic"]).targets["systolic"].families["systolic_cycles"]
    first = next(each for each in family.rows[0].comparisons if each.metric == "sram_ofmap_writes")
    assert (first.predicted, first.measured) == (4096, 4096)
    assert "4352" in first.note
    for row in family.rows:
        assert any(each.note for each in row.comparisons) == row.name.endswith(" os")


class Folds:
    """What a run of the array added up to: cycles, words in and out, and PEs that each fold occupied."""

    def __init__(self):
        self.cycles, self.stationary_reads, self.stream_reads, self.side_reads, self.writes = 0, 0, 0, 0, 0
        self.occupied = []


def output_stationary(a, b, rows, columns):
    """Both operands enter at the edges, skewed by a cycle a row and column; each PE adds up its own output."""
    (m, k), n, seen = a.shape, b.shape[1], Folds()
    result = np.zeros((m, n))
    for top in range(0, m, rows):
        for left in range(0, n, columns):
            part_a, part_b = a[top : top + rows], b[:, left : left + columns]
            high, wide = len(part_a), part_b.shape[1]
            right, down, sums = (np.zeros((rows, columns)) for _ in range(3))
            steps = np.full((rows, columns), -1)
            cycle = 0
            while steps[-1, -1] < k - 1:
                right[:, 1:], down[1:], steps[:, 1:] = right[:, :-1].copy(), down[:-1].copy(), steps[:, :-1].copy()
                for row in range(rows):
                    step = cycle - row
                    steps[row, 0] = step if 0 <= step < k else -1
                    reads = row < high and 0 <= step < k
                    right[row, 0] = part_a[row, step] if reads else 0.0
                    seen.stream_reads += reads
                for column in range(columns):
                    step = cycle - column
                    reads = column < wide and 0 <= step < k
                    down[0, column] = part_b[step, column] if reads else 0.0
                    seen.side_reads += reads
                sums += right * down
                cycle += 1
            result[top : top + high, left : left + wide] = sums[:high, :wide]
            seen.cycles += cycle
            seen.writes += high * wide
            seen.occupied.append(high * wide)
    return result, seen


def operand_stationary(stationary, stream, rows, columns):
    """``stream`` (t x k) times ``stationary`` (k x p), which is shifted in from the top; sums run down the columns."""
    (length, k), p, seen = stream.shape, stationary.shape[1], Folds()
    result = np.zeros((length, p))
    for top in range(0, k, rows):
        for left in range(0, p, columns):
            part = stationary[top : top + rows, left : left + columns]
            high, wide = part.shape
            held, right, sums = (np.zeros((rows, columns)) for _ in range(3))
            for cycle in range(rows):
                held[1:] = held[:-1].copy()
                row = rows - 1 - cycle
                held[0] = 0.0
                if row < high:
                    held[0, :wide] = part[row]
                    seen.stationary_reads += wide
            cycle, outputs = 0, np.zeros(columns, dtype=int)
            while outputs[-1] < length:
                right[:, 1:], sums[1:] = right[:, :-1].copy(), sums[:-1].copy()
                sums[0] = 0.0
                for row in range(rows):
                    step = cycle - row
                    reads = row < high and 0 <= step < length
                    right[row, 0] = stream[step, top + row] if reads else 0.0
                    seen.stream_reads += reads
                sums += right * held
                for column in range(columns):
                    step = cycle - (rows - 1) - column
                    if 0 <= step < length:
                        outputs[column] += 1
                        if column < wide:
                            result[step, left + column] += sums[-1, column]
                            seen.writes += 1
                cycle += 1
            seen.cycles += rows + cycle
            seen.occupied.append(high * wide)
    return result, seen


def simulated(a, b, rows, columns, dataflow):
    """(product, cycles, percent of the array a fold occupies, ifmap reads, filter reads, writes), word by word."""
    if dataflow == "os":
        result, seen = output_stationary(a, b, rows, columns)
        reads = seen.stream_reads, seen.side_reads
    elif dataflow == "ws":
        result, seen = operand_stationary(b, a, rows, columns)
        reads = seen.stream_reads, seen.stationary_reads
    else:
        result, seen = operand_stationary(a.T, b.T, rows, columns)
        result, reads = result.T, (seen.stationary_reads, seen.stream_reads)
    return result, seen.cycles - 1, 100 * np.mean(seen.occupied) / (rows * columns), *reads, seen.writes


SIZES = st.integers(1, 7)


@settings(max_examples=120, deadline=None)
@given(SIZES, SIZES, SIZES, st.integers(1, 4), st.integers(1, 4), st.sampled_from(["os", "ws", "is"]))
def test_the_cost_model_equals_a_simulation_of_every_cycle(m, n, k, rows, columns, dataflow):
    a = np.arange(m * k).reshape(m, k) + 1.0
    b = np.arange(k * n).reshape(k, n) - 3.0
    result, cycles, occupied, *accesses = simulated(a, b, rows, columns, dataflow)
    assert np.array_equal(result, a @ b)
    assume(cycles > 0)
    found = array_figures(ArrayRun(m, n, k, rows, columns, dataflow))
    assert found.total_cycles == cycles
    assert [found.sram_ifmap_reads, found.sram_filter_reads, found.sram_ofmap_writes] == accesses
    assert found.mapping_eff_pct == pytest.approx(occupied, rel=1e-12)
    assert found.overall_util_pct == pytest.approx(100 * m * n * k / (rows * columns * cycles), rel=1e-12)
    assert m * n * k <= rows * columns * (cycles + 1)  # the figure is the last cycle's number, not how many there are


def test_what_is_too_large_or_too_small_to_count_is_refused():
    huge = ArrayRun(10**6, 10**6, 10**5, 128, 128, "os")
    assert array_figures(huge).sram_ifmap_reads == 10**6 * 10**5 * 7813  # more than 2^53
    with pytest.raises(UnsupportedError, match="larger than the cost model counts"):
        array_figures(ArrayRun(10**9, 10**9, 10**9, 8, 8, "ws"))
    with pytest.raises(UnsupportedError, match="takes 0 cycles"):
        array_figures(ArrayRun(1, 1, 1, 1, 1, "os"))


def users_folder(tmp_path, **changes):
    """The first convolution row of the reference with some cells changed, written as a user would."""
    with (BUNDLED / "systolic_cycles.csv").open(encoding="utf-8") as stream:
        row = next(row for row in csv.DictReader(stream) if row["kind"] == "conv")
    row |= {column: str(value) for column, value in changes.items()}
    with (tmp_path / "systolic_mine.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerow(row)
    return tmp_path


def row_of(folder: Path):
    (family,) = validate(["systolic"], folder).targets["systolic"].families.values()
    return family.rows[0]


def test_a_users_folder(tmp_path):
    row = row_of(users_folder(tmp_path, H="14.0", array_rows="32.0", dataflow="OS", mapping_eff_pct=""))
    assert row.exact
    assert {each.metric for each in row.comparisons} == set(METRICS) - {"mapping_eff_pct"}
    (found,) = validate(data=tmp_path).targets.values()
    assert list(found.families) == ["systolic_mine"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("total_cycles", 8904),
        ("sram_filter_reads", 229375),
        ("sram_ofmap_writes", 26881),
        ("overall_util_pct", 70.4481),
    ],
)
def test_a_figure_that_differs_is_seen(tmp_path, column, value):
    row = row_of(users_folder(tmp_path, **{column: value}))
    assert [each.metric for each in row.comparisons if not each.exact] == [column]


def test_outputs_written_once_need_no_deviation(tmp_path):
    row = row_of(users_folder(tmp_path, sram_ofmap_writes=196 * 128))
    assert row.exact
    assert not any(each.note for each in row.comparisons)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"M": 195}, "M: 195 is not what H, W, Fh, Fw and stride give, 196"),
        ({"stride": 2}, r"give, 49 \(or 64 with the last, partial windows\)"),
        ({"Cin": 255}, "K: 256 is not Fh Fw Cin = 255"),
        ({"Fh": 15}, "is larger than the input"),
        ({"kind": "convolution"}, "'convolution' is not a known kind of layer"),
        ({"dataflow": "rs"}, "'rs' is not a known dataflow"),
        ({"array_rows": 0}, "line 2: array_rows: '0' must be a whole number of 1 or more"),
        ({"N": "1.5"}, "N: '1.5' must be a whole number"),
        ({"K": ""}, "K: is empty"),
        ({"total_cycles": "many"}, "total_cycles: 'many' must be a number"),
        ({"N": 10**30, "kind": "gemm"}, "is larger than the cost model counts"),
    ],
)
def test_rows_that_cannot_be_evaluated(tmp_path, changes, reason):
    row = row_of(users_folder(tmp_path, **changes))
    assert row.comparisons == ()
    assert re.search(reason, row.failed_reason)


def test_both_counts_of_partial_windows_are_taken(tmp_path):
    """14 pixels, kernel 1, stride 2: 7 whole windows and, as the reference program has it, 8 with the partial one."""
    for m in (7 * 7, 8 * 8):
        row = row_of(users_folder(tmp_path, M=m, stride=2, **dict.fromkeys(METRICS[1:], ""), total_cycles=""))
        assert row.failed_reason == "states no measured figure."
