import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprotune import pareto

points = st.lists(
    st.tuples(st.integers(1, 20).map(float), st.integers(0, 10).map(lambda tenths: tenths / 10)),
    min_size=1,
    max_size=30,
)


def dominates(a: pareto.Point, b: pareto.Point) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(points)
def test_front_against_the_definition(cloud: list[pareto.Point]) -> None:
    expected = {i for i, p in enumerate(cloud) if not any(dominates(q, p) for q in cloud)}
    found = pareto.front(cloud)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert [cloud[i][0] for i in found] == sorted(cloud[i][0] for i in found)


@given(points)
def test_hypervolume_against_counting_cells(cloud: list[pareto.Point]) -> None:
    """Costs are whole and accuracies tenths, so the box is 20 × 10 cells, each dominated or not."""
    cells = sum(
        any(cost <= column and accuracy >= (row + 1) / 10 for cost, accuracy in cloud)
        for column in range(20)
        for row in range(10)
    )
    assert pareto.hypervolume(cloud, (20.0, 0.0)) == pytest.approx(cells / 200)


@given(points, st.randoms())
def test_hypervolume_does_not_depend_on_order(cloud: list[pareto.Point], rng: random.Random) -> None:
    shuffled = rng.sample(cloud, len(cloud))
    assert pareto.hypervolume(shuffled, (20.0, 0.0)) == pareto.hypervolume(cloud, (20.0, 0.0))


def test_hypervolume_in_closed_form() -> None:
    assert pareto.hypervolume([(2.0, 0.5), (5.0, 0.8)], (10.0, 0.2)) == pytest.approx((8 * 0.3 + 5 * 0.3) / (10 * 0.8))
    assert pareto.hypervolume([], (10.0, 0.0)) == 0
    assert pareto.hypervolume([(0.0, 1.0)], (10.0, 0.0)) == 1
    assert pareto.hypervolume([(10.0, 1.0)], (10.0, 0.0)) == 0


def test_knee() -> None:
    assert pareto.knee([(1.0, 0.1), (10.0, 0.8), (100.0, 0.9)]) == 1
    assert pareto.knee([(1.0, 0.1), (10.0, 0.2), (30.0, 0.8), (100.0, 0.9)]) == 2
    assert pareto.knee([(1.0, 0.1)]) == 0
    assert pareto.knee([(1.0, 0.1), (2.0, 0.2)]) == 0
    assert pareto.knee([(1.0, 0.1), (1.0, 0.1)]) == 0
