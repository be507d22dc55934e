"""Which trials win: on the front, below the floor, by the finalists' means; and what a little less accuracy saves."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import curve, study

from reprotune.artifacts import read_json, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.results import best_so_far, winners, write
from reprotune.results.scores import titles
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.search.trial import Result

POINTS = [(100, 0.2), (200, 0.85), (300, 0.89), (300, 0.88), (500, 0.92), (700, 0.93), (900, 0.94), (950, 0.93)]
PRUNED = {"state": "PRUNED", "flops": 50, "accuracy": 0.9}


def told(
    dataset: StoredDataset, points: list[tuple[int, float]], min_accuracy: float | None
) -> tuple[StudySpec, list[Trial]]:
    trials: list[dict[str, Any]] = [{"flops": flops, "accuracy": accuracy} for flops, accuracy in points]
    one = study(dataset, [*trials, PRUNED], "multi_objective")
    return replace(one.spec, min_accuracy=min_accuracy), list(one.trials)


@pytest.mark.parametrize(
    ("floor", "front", "number"),
    [
        (None, [0, 1, 2, 4, 5, 6], {"knee": 1, "cheapest": 0}),
        (0.85, [1, 2, 4, 5, 6], {"knee": 2, "cheapest": 1}),  # at the floor is not below it
        (0.9, [4, 5, 6], {"knee": 4, "cheapest": 4}),
        (0.94, [6], dict.fromkeys(winners.WINNERS, 6)),
        (0.95, [6], dict.fromkeys(winners.WINNERS, 6)),  # none is feasible: the nearest stands in
    ],
)
def test_the_front_and_its_winners(
    dataset: StoredDataset, floor: float | None, front: list[int], number: dict[str, int]
) -> None:
    spec, trials = told(dataset, POINTS, floor)
    found = winners.pareto_front(spec, trials)
    assert [trial.number for trial in found] == front
    chosen = winners.best_configs(found)
    assert list(chosen) == list(winners.WINNERS)
    expected = {"most_accurate": 6, "within_1_point": 5, "within_2_points": 4, "within_5_points": 2, **number}
    expected |= {name: max(front[0], n) for name, n in expected.items()}
    assert {name: trial.number for name, trial in chosen.items()} == expected


def test_the_least_infeasible_is_the_cheapest_of_the_most_accurate(dataset: StoredDataset) -> None:
    spec, trials = told(dataset, [(300, 0.5), (200, 0.5), (100, 0.4)], 0.8)
    assert [trial.number for trial in winners.pareto_front(spec, trials)] == [1]


def test_what_is_lost_and_saved_and_that_nothing_is_feasible_is_told(dataset: StoredDataset, tmp_path: Path) -> None:
    spec, trials = told(dataset, POINTS, 0.85)
    metrics = write.write_multi_objective(tmp_path, spec, trials)
    choices = read_yaml(tmp_path / "best_configs.yaml")
    lost = {name: (round(c["accuracy_lost"], 9), round(c["cost_saved"], 9)) for name, c in choices.items()}
    assert lost["most_accurate"] == (0.0, 0.0)
    assert lost["within_2_points"] == (0.02, round(1 - 500 / 900, 9))
    assert lost["within_5_points"] == lost["knee"] == (0.05, round(1 - 300 / 900, 9))
    assert titles(choices) == {
        "most_accurate": "most accurate",
        "within_1_point": "within 1 point",
        "within_2_points": "within 2 points",
        "within_5_points": "within 5 points, knee",
        "cheapest": "cheapest",
    }
    assert (metrics["feasible"], metrics["pruned"], metrics["too_large"]) == (7, 1, 0)
    assert metrics["hypervolume_reference"]["accuracy"] == 0.85
    assert read_json(tmp_path / "study.json")["limits"] == {"min_accuracy": 0.85}
    volumes = best_so_far.hypervolumes(spec, trials)
    assert volumes[0] == 0.0
    assert volumes[-1] == pytest.approx(metrics["hypervolume"])
    assert 0 < metrics["hypervolume"] < 1

    none = write.write_multi_objective(tmp_path, *told(dataset, POINTS, 0.95))
    assert (none["feasible"], none["hypervolume"], none["pareto_optimal"], none["best_accuracy"]) == (0, 0.0, 1, 0.94)


@pytest.mark.parametrize(("by_machine", "advice"), [(True, "then run `make retry`"), (False, "widen the search space")])
def test_what_to_do_if_none_is_complete(dataset: StoredDataset, by_machine: bool, advice: str) -> None:
    (one,) = trials(dataset, (100, 0.9))
    failed = replace(one, result=Result("FAIL", (), None, "TimeoutError: took longer", by_machine=by_machine))
    with pytest.raises(UserError, match=rf"no trial of 1 is complete: TimeoutError: took longer; .*{advice}"):
        winners.complete([failed])


def again(trial: Trial, *accuracies: float | None) -> Trial:
    """With repeats; None is one that failed."""
    results = (Result("COMPLETE", curve(a), None) if a is not None else Result("FAIL", (), None) for a in accuracies)
    return replace(trial, repeats=tuple(results))


def trials(dataset: StoredDataset, *given: tuple[int, float], name: str = "single_objective") -> Sequence[Trial]:
    """given: flops, accuracy."""
    return study(dataset, [{"flops": flops, "accuracy": accuracy} for flops, accuracy in given], name).trials


def test_the_best_mean_wins(dataset: StoredDataset) -> None:
    lucky, steady, third, other = trials(dataset, (100, 0.95), (100, 0.93), (100, 0.92), (100, 0.94))
    told = [again(lucky, 0.90, 0.91), again(steady, 0.93, 0.93), again(third, None, 0.99), other]
    best = winners.best(told)
    assert best.number == 1
    assert winners.best([lucky, steady, third, other]).number == 0
    mean = {"accuracy_mean": 0.93, "accuracy_std": 0, "n": 3}
    assert winners.as_config(best).items() >= {"accuracy": 0.93, **mean}.items()
    assert winners.accuracy(told[2]) == pytest.approx((0.92 + 0.0 + 0.99) / 3)
    assert winners.on_valid(other) == {"accuracy_mean": 0.94, "n": 1}
    found = winners.certainty(told, best)
    assert found.keys() == {"finalists", "winner_accuracy", "winner_standard_error", "winner_probability"}
    assert (found["finalists"], found["winner_accuracy"]) == (3, 0.93)
    assert winners.certainty([lucky, other], lucky) == {}


def test_of_one_finalist_nothing_is_said_but_its_mean(dataset: StoredDataset) -> None:
    (one,) = trials(dataset, (100, 0.9))
    assert winners.certainty([again(one, 0.8)], one) == {}
    assert winners.certainty([again(one, 0.8)], again(one, 0.8)) == {
        "finalists": 1,
        "winner_accuracy": pytest.approx(0.85),
    }


def test_the_front_goes_by_the_means(dataset: StoredDataset) -> None:
    """The lucky one leaves it, what it hid comes in, the cheap end that is no finalist stays, and so does its knee."""
    cheap, lucky, hidden, beaten, most = trials(
        dataset, (100, 0.5), (200, 0.92), (250, 0.91), (260, 0.6), (400, 0.95), name="multi_objective"
    )
    told = [cheap, again(lucky, 0.84, 0.82), again(hidden, 0.91, 0.91), beaten, again(most, 0.93, 0.94)]
    spec = study(dataset, [], "multi_objective").spec
    assert [trial.number for trial in winners.pareto_front(spec, [cheap, lucky, hidden, beaten, most])] == [0, 1, 4]
    front = winners.pareto_front(spec, told)
    assert [trial.number for trial in front] == [0, 1, 2, 4]
    told[1] = again(lucky, 0.2, 0.2)
    assert [trial.number for trial in winners.pareto_front(spec, told)] == [0, 2, 4]
    assert winners.best_configs(front)["most_accurate"].number == 4
    assert winners.standing(front[2]) == pytest.approx((250, 0.91))
    lost = {name: choice["accuracy_lost"] for name, choice in winners.as_choices(winners.best_configs(front)).items()}
    assert lost["within_5_points"] == pytest.approx((0.95 + 0.93 + 0.94) / 3 - 0.91)  # of the means


def test_a_feasible_trial_comes_before_finalists_that_fell_below_the_floor(dataset: StoredDataset) -> None:
    lucky, hidden, low = trials(dataset, (100, 0.951), (200, 0.9505), (50, 0.9), name="multi_objective")
    told = [again(lucky, 0.948, 0.947), hidden, low]
    spec = replace(study(dataset, [], "multi_objective").spec, min_accuracy=0.95)
    assert winners.pareto_front(spec, told) == winners.feasible(spec, told) == [hidden]
    assert winners.pareto_front(spec, [told[0], low]) == [told[0]]  # it stands in


def test_of_equals_the_first_is_each_winner(dataset: StoredDataset) -> None:
    equal = trials(dataset, (100, 0.9), (100, 0.9), name="multi_objective")
    front = winners.pareto_front(study(dataset, [], "multi_objective").spec, equal)
    assert {trial.number for trial in winners.best_configs(front).values()} == {0}
