"""Studies and runs that were never trained: their trials are what a test says of them."""

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from conftest import CONFIG, SPACE, make_params
from optuna.trial import FixedTrial

from reprotune.advice.run import Balance, Run, Study
from reprotune.data.stored import StoredDataset
from reprotune.search.space import suggest
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial, frozen_trial
from reprotune.search.trial import Result
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch

EVEN: Balance = {split: dict.fromkeys("abcd", 250) for split in ("train", "valid", "test")}
SCORES = {"best": {"mean": 0.9, "std": 0.01, "n": 4}, "default": {"mean": 0.8, "std": 0.01, "n": 4}}


def curve(*accuracies: float, train: float = 0.5, valid: float = 0.5) -> tuple[Epoch, ...]:
    """One that rises to the accuracies given."""
    return tuple(Epoch(train, valid, accuracy) for accuracy in accuracies)


def trial(spec: StudySpec, number: int, told: Mapping[str, Any]) -> Trial:
    """told: its accuracy or curve, its state and reason; what else there is belongs to its config."""
    given = dict(told)
    result = Result(
        given.pop("state", "COMPLETE"),
        given.pop("curve", curve(given.pop("accuracy", 0.5))),
        Cost(given.pop("flops", 100), 50, 10),
        given.pop("reason", ""),
    )
    config = suggest(FixedTrial({**CONFIG, "batch_size": 64, "width_2": 4, "dropout_2": 0.2, **given}), spec.space)
    return Trial(number, config, result, 0.0, frozen_trial(spec, number, config, result))


def sized(dataset: StoredDataset, balance: Balance) -> StoredDataset:
    """The dataset, as if each of its classes had so many images."""
    found = copy(dataset)
    found.class_sizes = lambda split: list(balance[split].values())  # type: ignore[method-assign]
    return found


def study(
    dataset: StoredDataset,
    trials: Iterable[Mapping[str, Any]],
    name: str = "single_objective",
    stopped_by: str = "n_trials",
    balance: Balance = EVEN,
    space: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Study:
    """Four classes, 1,000 images in each split; 0.9 of accuracy on valid has a standard error of 0.0095."""
    params = make_params(**{f"{name}__search_space": {**SPACE, **(space or {})}, **changes})
    spec = declaration.from_params(params, name, sized(dataset, balance))
    told = [trial(spec, number, given) for number, given in enumerate(trials)]
    return Study(spec, told, stopped_by, params, balance)


def run(one: Study, scores: Mapping[str, Any] | None = None, balance: Balance = EVEN, **best: Any) -> Run:
    """The run of one study. best: what is known of the best config; scores: of the evaluated ones on test."""
    given = {name: {"test_accuracy": score} for name, score in {**SCORES, **(scores or {})}.items()}
    return Run(one.params, [one], {"epochs": 10} | best, given, balance)
