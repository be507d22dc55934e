"""What ends a study, and at which trial."""

import math
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SPACE, Dying, Killed, facts, make_params, run
from contract import Backwards, spec

from reprotune.data.stored import StoredDataset
from reprotune.errors import ParamsError
from reprotune.search.space import size
from reprotune.search.study import declaration, journal
from reprotune.search.study.stopping import Stopping, ended_by
from reprotune.search.study.trials import finished, told
from reprotune.search.trial import Result
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch

ENDING = [
    ("single_objective", "tpe", "median", {"max_epochs": 18}),
    ("single_objective", "random", "hyperband", {"patience": 2}),
    ("single_objective", "nsga2", "median", {"max_epochs": 21}),
    ("single_objective", "cmaes", "median", {"patience": 3}),
    ("multi_objective", "tpe", "pareto", {"patience": 3}),
    ("multi_objective", "random", "none", {"max_epochs": 18}),
    ("multi_objective", "nsga2", "pareto", {"patience": 2}),
]


@pytest.mark.parametrize(("name", "sampler", "pruner", "end"), ENDING)
def test_what_ends_a_study_is_a_function_of_its_told_trials(
    name: str,
    sampler: str,
    pruner: str,
    end: dict[str, int],
    dataset: StoredDataset,
    pools: dict[int, Executor],
    tmp_path: Path,
) -> None:
    """At the same trial with any workers, in any order of finishing, after kills; and it can be lengthened."""
    declared = replace(spec(dataset, name, sampler=sampler, pruner=pruner, n_trials=14), window=4)
    ending = replace(declared, **end)  # type: ignore[arg-type]
    trials = run(ending, tmp_path / "inline")
    assert 2 < len(trials) < 14
    assert ended_by(ending, trials) == next(iter(end))
    assert ended_by(ending, trials[:-1]) is None
    assert facts(run(ending, tmp_path / "three", pools[3])) == facts(trials)
    assert facts(run(ending, tmp_path / "backwards", Backwards())) == facts(trials)
    for kill in (3, 1):
        with pytest.raises(Killed):
            run(ending, tmp_path / "killed", Dying(kill))
    assert facts(run(ending, tmp_path / "killed")) == facts(trials)
    with journal.opened(tmp_path / "killed" / ending.journal, ending.directions, lambda _: False) as opened:
        assert finished(ending, opened)
        assert not finished(declared, opened)
        assert len(told(ending, opened)) == len(trials)
    assert not journal.unfinished(tmp_path / "killed" / ending.journal)
    assert facts(run(ending, tmp_path / "killed", Dying(0))) == facts(trials)  # what lies beyond the end is not trained

    longer = run(declared, tmp_path / "killed", Dying(14 - len(trials)))
    assert facts(longer) == facts(run(declared, tmp_path / "longer"))
    assert facts(longer)[: len(trials)] == facts(trials)
    assert facts(run(ending, tmp_path / "killed", Dying(0))) == facts(trials)  # the shorter of the longer
    assert not journal.unfinished(tmp_path / "killed" / ending.journal)


SMALL = {
    "layers": {"type": "int", "low": 1, "high": 2},
    "width": {"type": "int", "low": 4, "high": 12, "step": 4},
    "dropout": {"type": "float", "low": 0.0, "high": 0.2, "step": 0.2},
    "optimizer": "Adam",
    "lr": 0.01,
    "epochs": 1,
    "batch_size": 64,
}  # 3 × 2 configs of one layer, (3 × 2)² of two


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_grid_tries_every_config_once_and_ends_with_the_last(
    name: str, dataset: StoredDataset, tmp_path: Path, pools: dict[int, Executor]
) -> None:
    small = {**SMALL, "width_2": 4, "dropout_2": 0.0}
    given = {"sampler": "grid", "pruner": "none", "search_space": small, "n_trials": 100}
    declared = spec(dataset, name, **given)
    trials = run(declared, tmp_path / "inline")
    assert len({repr(trial.config) for trial in trials}) == len(trials) == size(declared.space) == 12
    assert ended_by(declared, trials) == "exhausted"
    assert ended_by(declared, trials[:-1]) is None
    assert facts(run(declared, tmp_path / "three", pools[3])) == facts(trials)
    assert facts(run(replace(declared, n_trials=7), tmp_path / "shorter")) == facts(trials)[:7]
    capped = run(spec(dataset, name, **given, max_parameters=400), tmp_path / "capped")
    assert [trial.config for trial in capped] == [trial.config for trial in trials]
    assert 0 < sum(trial.result.untrained for trial in capped) < 12
    with pytest.raises(
        ParamsError, match=rf"{name}.search_space.lr = {{'type': 'float', .*}}: needs a step for grid, or choices"
    ):
        declaration.check_params(make_params(**{f"{name}__sampler": "grid", f"{name}__search_space": {**SPACE}}))


def test_a_step_is_one_value_however_it_was_reached(dataset: StoredDataset) -> None:
    steps = {"type": "float", "low": 0.1, "high": 0.4, "step": 0.1}
    declared = spec(dataset, search_space={**SMALL, "layers": 1, "width": 4, "dropout": steps}, n_trials=100)
    stopping, (result,) = Stopping(declared), results(UP)
    tried = [0.3, 0.1 + 0.2, 0.1, 0.1 + 1e-17, 0.2, 0.4]
    told = [stopping.tell(SimpleNamespace(config={"dropout": value}, result=result)) for value in tried]
    assert told == [None] * 5 + ["exhausted"]


def test_the_size_of_a_space(dataset: StoredDataset) -> None:
    assert size(spec(dataset, search_space=SMALL).space) == 6 + 36
    assert size(spec(dataset, search_space={**SMALL, "epochs": {"type": "int", "low": 1, "high": 3}}).space) == 126
    wide = {"type": "int", "low": 1, "high": 10**15 + 1, "step": 2}
    assert size(spec(dataset, search_space={**SMALL, "layers": 1, "width": wide}).space) == 2 * (5 * 10**14 + 1)
    searched = {"type": "categorical", "choices": ["Adam", "SGD"]}
    momentum = {"type": "categorical", "choices": [0.0, 0.9]}  # which SGD alone has
    assert size(spec(dataset, search_space={**SMALL, "optimizer": searched, "momentum": momentum}).space) == 126
    assert size(spec(dataset).space) == math.inf


def results(*told: tuple[str, float]) -> list[Result]:
    """Of two epochs each; (state, accuracy); each costs less than the one before."""
    return [
        Result(state, (Epoch(1.0, 1.0, 0.1), Epoch(1.0, 1.0, accuracy)), Cost(100 - n, 50, 50), "as told")  # type: ignore[arg-type]
        for n, (state, accuracy) in enumerate(told)
    ]


UP = ("COMPLETE", 0.5)  # on 80 images the standard error of 0.5 is 0.0559


NOISE, BETTER, GONE, FAILED = ("COMPLETE", 0.555), ("COMPLETE", 0.556), ("PRUNED", 0.9), ("FAIL", 0.9)


@pytest.mark.parametrize(
    ("name", "told", "changes", "ended"),
    [
        ("single_objective", [UP] * 9, {"n_trials": 4}, (4, "n_trials")),
        ("single_objective", [UP] * 9, {"max_epochs": 6}, (3, "max_epochs")),
        ("single_objective", [UP] * 9, {"max_epochs": 7}, (4, "max_epochs")),
        ("single_objective", [GONE, FAILED, UP], {"max_epochs": 6}, (3, "max_epochs")),
        ("single_objective", [UP] * 9, {"max_epochs": 8, "n_trials": 4}, (4, "n_trials")),
        ("single_objective", [UP] * 9, {"max_epochs": 100, "patience": 3}, (4, "patience")),
        ("single_objective", [UP, NOISE, NOISE, NOISE], {"patience": 3}, (4, "patience")),
        ("single_objective", [UP, UP, BETTER, UP, UP, UP], {"patience": 3}, (6, "patience")),
        ("single_objective", [UP, GONE, FAILED, GONE], {"patience": 3}, (4, "patience")),
        ("single_objective", [FAILED] * 6 + [UP] * 4, {"patience": 3}, (10, "patience")),
        ("single_objective", [("COMPLETE", 1.0), UP, UP], {"patience": 2}, (3, "patience")),
        ("single_objective", [FAILED] * 9, {"patience": 3}, (None, None)),
        ("multi_objective", [UP, UP, UP, UP], {"patience": 3}, (None, None)),  # cheaper ones of the same accuracy
        ("multi_objective", [BETTER, GONE, FAILED, FAILED], {"patience": 3}, (4, "patience")),
        ("multi_objective", [UP, GONE, NOISE, GONE, GONE], {"patience": 3}, (None, None)),
        ("multi_objective", [UP, UP, UP, UP, UP], {"patience": 3, "min_accuracy": 0.6}, (None, None)),
        ("multi_objective", [UP, BETTER, UP, UP, UP], {"patience": 3, "min_accuracy": 0.55}, (5, "patience")),
    ],
)
def test_the_trial_that_ends_a_study(
    dataset: StoredDataset,
    name: str,
    told: list[tuple[str, float]],
    changes: dict[str, Any],
    ended: tuple[int | None, str | None],
) -> None:
    stopping = Stopping(spec(dataset, name, **{"n_trials": 20} | changes))
    trials = (SimpleNamespace(config={}, result=result) for result in results(*told))
    reasons = ((number, stopping.tell(trial)) for number, trial in enumerate(trials, start=1))
    assert next((found for found in reasons if found[1]), (None, None)) == ended
