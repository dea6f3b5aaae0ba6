"""Fronts against the definition."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from accelsim.study.sweep.pareto import Front, efficient

points = arrays(np.float64, st.tuples(st.integers(0, 40), st.integers(1, 3)), elements=st.integers(0, 5).map(float))


def by_definition(rows):
    kept, seen = [], set()
    for index, row in enumerate(rows):
        dominated = any((other <= row).all() and (other < row).any() for other in rows)
        if not dominated and tuple(row) not in seen:
            seen.add(tuple(row))
            kept.append(index)
    return kept


@settings(max_examples=300, deadline=None)
@given(points)
def test_efficient_is_what_nothing_dominates_each_point_once(rows):
    assert efficient(rows).tolist() == by_definition(rows)


@settings(max_examples=200, deadline=None)
@given(points, st.randoms(use_true_random=False))
def test_a_front_kept_chunk_by_chunk_is_that_of_all_in_any_order(rows, random):
    chunks = np.array_split(np.arange(len(rows)), 4)
    random.shuffle(chunks)
    front = Front(rows.shape[1])
    for chunk in chunks:
        front.add(rows[chunk], chunk)
    assert front.designs.tolist() == by_definition(rows)


def test_designs_without_a_figure_are_never_efficient():
    assert efficient(np.array([[np.inf, 0.0], [1.0, np.nan], [2.0, 2.0]])).tolist() == [2]
