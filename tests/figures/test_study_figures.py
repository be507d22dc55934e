"""Figures show what the trials were."""

import random
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SPACE, make_params, run
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from reprotune.data.stored import StoredDataset
from reprotune.figures import study
from reprotune.figures.parallel_coordinates import height
from reprotune.results.importances import importances
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

Finished = tuple[StudySpec, list[Trial]]


@pytest.fixture(scope="module", params=["single_objective", "multi_objective"])
def finished(
    request: pytest.FixtureRequest, dataset: StoredDataset, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    declared = declaration.from_params(make_params(**{f"{request.param}__n_trials": 20}), request.param, dataset)
    return declared, run(declared, tmp_path_factory.mktemp("study"))


TITLES = {
    "optimization_history": ("Optimization history", "trial", "validation accuracy", "pruned", "best so far"),
    "learning_curves": ("Learning curves", "epoch", "validation accuracy", "complete", "pruned"),
    "pruning": ("trial", "epochs, all trials so far", "without pruning", "trained"),
    "best_learning_curve": ("epoch", "cross entropy (nats)", "validation accuracy", "training loss"),
    "importances": ("What decides each objective", "accuracy", "lr", "width_1", "epochs"),
    "parallel_coordinates": ("Hyperparameters of the complete trials", "validation accuracy", "lr", "SGD", "0.1"),
    "pareto_front": ("Pareto front", "FLOPs of one example", "validation accuracy", "knee", "pruned"),
    "hypervolume": ("Hypervolume of the front", "trial", "share of the box that is dominated"),
}


def test_figures_have_titles_and_units(finished: Finished, tmp_path: Path) -> None:
    """And the same bytes for the same trials, which tests/test_end_to_end.py holds."""
    study.write(tmp_path, *finished)
    figures = {path.stem: path.read_text() for path in tmp_path.iterdir()}
    assert list(TITLES)[: len(figures)] == [name for name in TITLES if name in figures]
    assert len(figures) == (8 if finished[0].cost else 6)
    for name, text in figures.items():
        assert all(f"<!-- {title} -->" in text for title in TITLES[name])  # as matplotlib notes what its paths spell
        assert "<dc:date>" not in text


def test_what_pruning_saved(finished: Finished, tmp_path: Path) -> None:
    declared, trials = finished
    epochs = sum(trial.config["epochs"] for trial in trials)
    saved = round(100 * (1 - sum(len(trial.result.curve) for trial in trials) / epochs))
    study.write(tmp_path, declared, trials)
    assert 0 < saved < 100
    assert f"<!-- Pruning saved {saved}% of the epochs -->" in (tmp_path / "pruning.svg").read_text()


@pytest.mark.parametrize("space", [{}, {name: value for name, value in SPACE.items() if name == "layers"}])
def test_a_study_of_one_trial_or_of_nothing_to_search(
    dataset: StoredDataset, tmp_path: Path, space: dict[str, object]
) -> None:
    params = make_params(multi_objective__search_space={**space, "epochs": 1}, multi_objective__n_trials=1)
    declared = declaration.from_params(params, "multi_objective", dataset)
    study.write(tmp_path, declared, run(declared, tmp_path))
    assert len(list(tmp_path.glob("*.svg"))) == 8


def test_importances_find_what_decides(finished: Finished) -> None:
    """Accuracies are made up here, of lr alone."""
    _, trials = finished
    made_up, rng = [], random.Random(0)
    for trial in trials * 5:
        optuna = copy(trial.optuna)
        optuna.params = {**optuna.params, "lr": 10 ** rng.uniform(-4, -1), "width_1": rng.randint(2, 8)}
        curve = (trial.result.curve[0]._replace(valid_accuracy=optuna.params["lr"]),)
        made_up.append(replace(trial, optuna=optuna, result=replace(trial.result, state="COMPLETE", curve=curve)))
    found = importances(made_up, "accuracy")
    assert next(iter(found)) == "lr"
    assert found["lr"] > 0.5
    assert sum(found.values()) == pytest.approx(1)
    assert "batch_size" not in found  # it is fixed


def test_heights() -> None:
    assert height(FloatDistribution(1e-4, 1e-2, log=True), 1e-3) == pytest.approx(0.5)
    assert height(FloatDistribution(1.0, 5.0), 2.0) == 0.25
    assert height(IntDistribution(1, 4), 4) == 1.0
    assert height(CategoricalDistribution(["a", "b", "c"]), "b") == 0.5
