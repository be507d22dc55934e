import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprotune.search import pareto
from reprotune.search.history import PastTrial, frozen_trials
from reprotune.search.pruners import ParetoPruner, TrialPruner

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


def pruned_after(trial: PastTrial, past: Sequence[PastTrial], margin: float = 0.0) -> int | None:
    """The epoch after which a trial that would end as `trial` is pruned; None if it is not."""
    epochs = len(trial.accuracies)
    pruner = TrialPruner(ParetoPruner(margin), frozen_trials(past), len(past), trial.cost, epochs)
    return next((e for e in range(1, epochs) if pruner.should_prune(e, trial.accuracies[e - 1])), None)


def finished(cost: float, *accuracies: float) -> PastTrial:
    return PastTrial("COMPLETE", accuracies, cost, {})


def rising(cost: float, quality: int, epochs: int) -> PastTrial:
    """Of such curves none crosses another, however long it is, and none saturates where another rises."""
    return finished(cost, *(quality / 100 * epoch / (epoch + 2) for epoch in range(1, epochs + 1)))


costs = st.integers(1, 9).map(float)
noise = st.builds(lambda cost, accuracies: finished(cost, *accuracies), costs, st.lists(st.floats(0, 1), min_size=1))
orderly = st.builds(rising, st.integers(1, 2).map(float), st.integers(1, 99), st.integers(1, 8))


@given(orderly, st.lists(orderly, max_size=2))
@settings(max_examples=200)
def test_what_would_be_on_the_front_is_not_pruned_where_curves_do_not_cross(
    trial: PastTrial, past: list[PastTrial]
) -> None:
    ends = [(told.cost or 0.0, told.accuracies[-1]) for told in (*past, trial)]
    if len(past) in pareto.front(ends):
        assert pruned_after(trial, past) is None


@given(noise, st.lists(noise, max_size=8))
def test_the_cheapest_is_not_pruned(trial: PastTrial, past: list[PastTrial]) -> None:
    assert pruned_after(trial._replace(cost=0.5), past) is None


@given(noise, st.lists(noise, max_size=8), st.randoms(), st.floats(0, 0.5))
def test_only_the_order_of_costs_counts(
    trial: PastTrial, past: list[PastTrial], rng: random.Random, margin: float
) -> None:
    def other_unit(told: PastTrial) -> PastTrial:
        return told._replace(cost=(told.cost or 0.0) ** 3 - 100)

    shuffled = [other_unit(told) for told in rng.sample(past, len(past))]
    assert pruned_after(other_unit(trial), shuffled, margin) == pruned_after(trial, past, margin)


@given(noise, st.lists(noise, max_size=8), st.integers(0, 8), st.floats(0, 0.5))
def test_fewer_finished_trials_or_more_leniency_never_prune_more(
    trial: PastTrial, past: list[PastTrial], kept: int, margin: float
) -> None:
    never = len(trial.accuracies)
    before = pruned_after(trial, past, margin) or never
    assert (pruned_after(trial, past[:kept], margin) or never) >= before
    assert (pruned_after(trial, past, margin + 0.1) or never) >= before
    unfinished = [told._replace(state="PRUNED") for told in past[kept:]]
    assert pruned_after(trial, [*past[:kept], *unfinished], margin) == pruned_after(trial, past[:kept], margin)


def test_pruning_in_closed_form() -> None:
    trial = finished(5.0, 0.1, 0.3, 0.5, 0.6)
    assert pruned_after(trial, [finished(5.0, 0.1, 0.4, 0.4, 0.4)]) == 2
    assert pruned_after(trial, [finished(5.1, 0.9, 0.9, 0.9, 0.9)]) is None  # it costs more
    assert pruned_after(trial, [finished(1.0, 0.1, 0.3, 0.5, 0.9)]) is None  # level until the last epoch
    assert pruned_after(trial, [finished(1.0, 0.0, 0.2, *[0.6] * 6)]) == 3  # the same epochs of a longer training
    assert pruned_after(trial, [finished(1.0, 0.2, 0.2)]) is None  # its first of two epochs is seen after two of four
    assert pruned_after(trial, [finished(1.0, 0.35, 0.4)]) == 2
    assert pruned_after(trial, [finished(1.0, 0.35, 0.4)], margin=0.2) is None
    assert pruned_after(trial, [finished(1.0, 0.0, 0.55, 0.6, 0.6)], margin=0.2) == 2
    assert pruned_after(trial, [finished(1.0, 0.0, 0.45, 0.75, 0.6)], margin=0.2) == 3
    assert pruned_after(trial, [finished(1.0, 0.2, 0.4, 0.6, 0.9)] * 9, margin=0.2) is None  # their number counts not
