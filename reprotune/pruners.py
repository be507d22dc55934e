"""PRUNERS, and how a worker asks one about the trial that it trains.

Optuna's pruners read a study. A worker has none: it is given what pruners read of the trials that had been
told when its own was asked, and makes of them an in-memory study of exactly these and its own trial.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import optuna
from optuna.pruners import BasePruner
from optuna.trial import TrialState, create_trial

from reprotune.pareto import ParetoPruner

optuna.logging.set_verbosity(optuna.logging.WARNING)  # that a study was created is no news: each trial makes one

PRUNERS: dict[str, Callable[[], BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": lambda: optuna.pruners.PercentilePruner(25.0),  # prunes all but the best quarter
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "pareto": lambda: ParetoPruner(margin=0.02),
}
SEVERAL_OBJECTIVES = ("none", "pareto")  # the pruners of a study with a cost; the others judge by accuracy alone
ONE_OBJECTIVE = tuple(name for name in PRUNERS if name != "pareto")


class Past(NamedTuple):
    """What pruners read of a told trial."""

    state: str
    accuracies: tuple[float, ...]  # after epoch 1, 2, …
    cost: float | None  # the objective, in a study that has one; None in others, and if the model could not be built
    attrs: Mapping[str, Any]  # what the pruner noted about it: the rungs of successive halving


class Judge:
    """Decides whether trial `number` is pruned, by its curve so far and the trials that it may be compared with.

    past: the trials told when this one was asked, that is the first len(past) of the study.
    cost, epochs: of this trial; see Past and config["epochs"].
    """

    def __init__(self, pruner: str, past: Sequence[Past], number: int, cost: float | None, epochs: int) -> None:
        if pruner == "none":
            past, number = (), 0
        self._study = optuna.create_study(study_name="reprotune", direction="maximize", pruner=PRUNERS[pruner]())
        for told in past:
            self._study.add_trial(_frozen(told))
        for _ in range(number - len(past)):  # those asked meanwhile: they only hold their numbers
            self._study.add_trial(create_trial(state=TrialState.RUNNING))
        self._trial = self._study.ask()
        self._trial.set_user_attr("cost", cost)
        self._trial.set_user_attr("epochs", epochs)

    def should_prune(self, epoch: int, accuracy: float) -> bool:
        self._trial.report(accuracy, epoch)
        return self._trial.should_prune()

    @property
    def attrs(self) -> dict[str, Any]:
        return self._study.get_trials(deepcopy=False)[-1].system_attrs


def _frozen(told: Past) -> optuna.trial.FrozenTrial:
    state = TrialState[told.state]
    return create_trial(
        state=state,
        value=told.accuracies[-1] if told.accuracies and state != TrialState.FAIL else None,
        intermediate_values=dict(enumerate(told.accuracies, start=1)),
        user_attrs={"cost": told.cost, "epochs": len(told.accuracies)},  # a complete one was trained for all of them
        system_attrs=dict(told.attrs),
    )
