"""Which trials win: on the front, below the floor, and what a little less accuracy saves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import study

from reprotune.artifacts import read_json, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.results import best_so_far, winners, write
from reprotune.results.scores import titles
from reprotune.search.spec import StudySpec
from reprotune.search.study import Trial

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
