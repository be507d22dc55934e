"""PRUNERS, and how a worker asks one about the trial that it trains.

Optuna's pruners read a study. A worker has none: it is given what pruners read of the trials that had been
told when its own was asked, and shows them a study of exactly these and its own trial.
"""

import json
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import optuna
from optuna.pruners import BasePruner
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from reprotune.pareto import ParetoPruner

optuna.logging.set_verbosity(optuna.logging.WARNING)  # that a study was created is no news: each trial makes one

_BLOCK = 64  # trials

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


class Told(NamedTuple):
    """A study's first trials, as a worker is sent them: whole blocks, which it reads once, and the rest."""

    blocks: tuple[str, ...] = ()  # JSON
    rest: tuple[Past, ...] = ()

    def frozen(self) -> list[FrozenTrial]:
        known = [trial for number, block in enumerate(self.blocks) for trial in _block(number, block)]
        return known + frozen(self.rest, len(known))


class Memory:
    """The told trials of a study, in blocks: a worker reads each once, however many tasks it comes with."""

    def __init__(self) -> None:
        self._past: list[Past] = []
        self._blocks: list[str] = []

    def append(self, told: Past) -> None:
        self._past.append(told)
        if len(self._past) % _BLOCK == 0:
            self._blocks.append(json.dumps(self._past[-_BLOCK:]))

    def first(self, count: int) -> Told:
        whole = min(count, len(self._past)) // _BLOCK
        return Told(tuple(self._blocks[:whole]), tuple(self._past[whole * _BLOCK : count]))


def frozen(past: Sequence[Past], first: int = 0) -> list[FrozenTrial]:
    """The trials as Optuna has them; `first` is the number of the first."""
    return [_frozen(number, told) for number, told in enumerate(past, start=first)]


@lru_cache(maxsize=1024)
def _block(number: int, content: str) -> list[FrozenTrial]:
    return frozen([Past(*told) for told in json.loads(content)], number * _BLOCK)


def _frozen(number: int, told: Past) -> FrozenTrial:
    state = TrialState[told.state]
    trial = create_trial(
        state=state,
        value=told.accuracies[-1] if told.accuracies and state != TrialState.FAIL else None,
        intermediate_values=dict(enumerate(told.accuracies, start=1)),
        user_attrs={"cost": told.cost, "epochs": len(told.accuracies)},  # a complete one was trained for all of them
        system_attrs=dict(told.attrs),
    )
    trial.number = number
    return trial


class _Seen(InMemoryStorage):
    """A storage of one trial, before which `known` are there too: shown as they are, not copied."""

    def __init__(self, known: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._known = known

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = [*self._known, *super().get_all_trials(study_id, deepcopy)]
        return [trial for trial in trials if states is None or trial.state in states]


class Judge:
    """Decides whether trial `number` is pruned, by its curve so far and the trials that it may be compared with.

    known: the trials told when this one was asked, that is the first ones of the study.
    cost, epochs: of this trial; see Past and config["epochs"].
    """

    def __init__(self, pruner: str, known: Sequence[FrozenTrial], number: int, cost: float | None, epochs: int) -> None:
        storage = _Seen(known)
        study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "reprotune")
        trial_id = storage.create_new_trial(study_id)
        storage.get_trial(trial_id).number = number
        self._trial = Trial(optuna.Study("reprotune", storage, pruner=PRUNERS[pruner]()), trial_id)
        self._trial.set_user_attr("cost", cost)
        self._trial.set_user_attr("epochs", epochs)

    def should_prune(self, epoch: int, accuracy: float) -> bool:
        self._trial.report(accuracy, epoch)
        return self._trial.should_prune()

    @property
    def attrs(self) -> dict[str, Any]:
        return self._trial.storage.get_trial(self._trial._trial_id).system_attrs
