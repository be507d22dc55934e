"""A replay saves and keeps what the study would have: random search proposes the same with any pruner."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from conftest import make_params, run
from optuna.pruners import NopPruner

from benchmarks.curves import SOURCES, WINDOW, Recorded, path_of, read, rows_of
from benchmarks.replay import drawn, score
from benchmarks.rules import FIRST, SECOND, Pruned, best, promising, unled
from reprotune.data.stored import StoredDataset
from reprotune.params import LedRung
from reprotune.results import winners
from reprotune.search import pareto
from reprotune.search.pruners import ParetoPruner
from reprotune.search.study import declaration


@pytest.mark.parametrize("window", [1, 4])
def test_a_replay_is_what_the_study_would_be(dataset: StoredDataset, tmp_path: Path, window: int) -> None:
    params = make_params(multi_objective__sampler="random", multi_objective__n_trials=20)
    declared = replace(declaration.from_params(params, "multi_objective", dataset), window=window)
    whole = run(replace(declared, pruner="none"), tmp_path)
    trials = [(winners.point(t)[0], tuple(point.valid_accuracy for point in t.result.curve)) for t in whole]
    reference = declared.reference_point
    saved, _, kept = score(Recorded(trials, reference[0]), SECOND["pareto, margin 0.02"], window)

    pruned = run(declared, tmp_path)
    epochs, all_epochs = (sum(len(trial.result.curve) for trial in study) for study in (pruned, whole))
    volumes = [
        pareto.hypervolume([*map(winners.point, winners.complete(study))], reference) for study in (pruned, whole)
    ]
    assert saved == 1 - epochs / all_epochs > 0
    assert kept == volumes[0] / volumes[1]


def test_steps_of_shares_compare_at_the_same_share_of_the_training() -> None:
    """After half of the 8 epochs the rival has 0.49, after half of the 4 the other 0.4; after the same epoch, 0.2."""
    rival = (1.0, (0.1, 0.2, 0.4, 0.49, 0.5, 0.6, 0.65, 0.7))
    trial = (1.0, (0.15, 0.4, 0.66, 0.71))
    assert Pruned(partial(ParetoPruner, 0.05))([rival, trial], 1) == [8, 4]
    assert Pruned(NopPruner, rung=LedRung(epoch=1, margin=0.05))([rival, trial], 8) == [8, 4]  # in flight
    assert Pruned(NopPruner, rung=LedRung(epoch=2, margin=0.05))([trial, rival], 8) == [4, 2]
    assert Pruned(partial(ParetoPruner, 0.05), shares=2)([rival, trial], 1) == [8, 2]
    assert Pruned(partial(ParetoPruner, 0.1), shares=2)([rival, trial], 1) == [8, 4]


def test_more_steps_than_epochs_judge_once_an_epoch() -> None:
    """The first epoch of two reaches the steps 1 to 5 of 10, of which only the last is judged."""
    rival = (1.0, (0.1,) * 4 + (0.5,) * 6)
    assert Pruned(partial(ParetoPruner, 0.0), shares=10)([rival, (1.0, (0.4, 0.9))], 1) == [10, 1]
    assert Pruned(partial(ParetoPruner, 0.0), shares=10)([(1.0, (0.5, 0.6)), (1.0, (0.4, 0.9))], 1) == [2, 1]


TRIALS = [(2.0, (0.5, 0.9)), (1.0, (0.6, 0.7)), (3.0, (0.55, 0.8)), (4.0, (0.7, 0.75))]


@pytest.mark.parametrize(
    ("kept", "cohort", "at", "trained"),
    [
        (partial(best, 0.25), None, 1, [1, 1, 1, 2]),
        (partial(best, 0.5), 2, 0.5, [1, 2, 1, 2]),
        (partial(unled, 0.04), None, 1, [1, 2, 1, 2]),  # the second is the cheapest; it leads two by more than 0.04
        (partial(unled, 0.06), None, 1, [1, 2, 2, 2]),
        (partial(unled, 0.04), 1, 1, [2, 2, 1, 2]),  # of a cohort only what was before it is known
        (partial(best, 0.25), None, 2, [2, 2, 2, 2]),
    ],
)
def test_of_a_cohort_the_promising_ones_go_on(kept: object, cohort: int | None, at: float, trained: list[int]) -> None:
    assert promising(kept, cohort, at, TRIALS, 8) == trained  # type: ignore[arg-type]


def test_what_is_recorded_is_the_study_unpruned(dataset: StoredDataset, tmp_path: Path) -> None:
    params = make_params()
    rows = rows_of(params, dataset.folder, 1, 3)
    declared = declaration.from_params(params, "multi_objective", dataset)
    trials = run(replace(declared, seed=1, window=WINDOW, pruner="none", n_trials=3), tmp_path)
    assert rows == [
        (
            "1",
            str(declared.reference_point[0]),
            str(winners.point(trial)[0]),
            " ".join(f"{point.valid_accuracy:.6g}" for point in trial.result.curve),
        )
        for trial in trials
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_recorded_comes_from_params_that_are_accepted(name: str) -> None:
    declaration.check_params(SOURCES[name].load("/a/mirror"))
    assert SOURCES[name].load("/a/mirror").data.mirror == "/a/mirror"
    assert sum(len(study.trials) for study in read(path_of(name))) == SOURCES[name].seeds * SOURCES[name].n_trials


@pytest.mark.parametrize("name", SOURCES)
def test_every_rule_runs_on_what_is_recorded(name: str) -> None:
    study = next(drawn(read(path_of(name)), 1))
    few = Recorded(study.trials[:12], study.costliest)
    for rule in (*FIRST.values(), *SECOND.values()):
        saved, gap, kept = score(few, rule, 4)
        assert 0 <= saved < 1
        assert gap >= 0
        assert kept <= 1
    assert next(drawn([study], 1)) == next(drawn([study], 1))
