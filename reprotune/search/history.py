"""The finished trials that a pruner may compare with, kept so that sending them to workers stays cheap."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial, TrialState, create_trial

_BLOCK = 64  # trials


class PastTrial(NamedTuple):
    """What pruners read of a told trial."""

    state: str
    accuracies: tuple[float, ...]  # after epoch 1, 2, …
    cost: float | None  # the objective, in a study that has one; None in others, and if the model could not be built
    attrs: Mapping[str, Any]  # what the pruner noted about it: the rungs of successive halving


class HistorySnapshot(NamedTuple):
    """A study's first trials, as a task carries them to a worker: whole blocks, which it reads once, and the rest."""

    blocks: tuple[str, ...] = ()  # JSON
    rest: tuple[PastTrial, ...] = ()

    def frozen(self) -> list[FrozenTrial]:
        known = [trial for number, block in enumerate(self.blocks) for trial in _block(number, block)]
        return known + frozen_trials(self.rest, len(known))


class History:
    """The told trials of a study, in blocks: a worker reads each once, however many tasks it comes with."""

    def __init__(self) -> None:
        self._trials: list[PastTrial] = []
        self._blocks: list[str] = []

    def append(self, past: PastTrial) -> None:
        self._trials.append(past)
        if len(self._trials) % _BLOCK == 0:
            self._blocks.append(json.dumps(self._trials[-_BLOCK:]))

    def first(self, count: int) -> HistorySnapshot:
        whole = min(count, len(self._trials)) // _BLOCK
        return HistorySnapshot(tuple(self._blocks[:whole]), tuple(self._trials[whole * _BLOCK : count]))


def frozen_trials(past: Sequence[PastTrial], first: int = 0) -> list[FrozenTrial]:
    """The trials as Optuna has them; `first` is the number of the first."""
    return [_frozen(number, trial) for number, trial in enumerate(past, start=first)]


@lru_cache(maxsize=1024)
def _block(number: int, content: str) -> list[FrozenTrial]:
    return frozen_trials([PastTrial(*told) for told in json.loads(content)], number * _BLOCK)


def _frozen(number: int, past: PastTrial) -> FrozenTrial:
    state = TrialState[past.state]
    trial = create_trial(
        state=state,
        value=past.accuracies[-1] if past.accuracies and state != TrialState.FAIL else None,
        intermediate_values=dict(enumerate(past.accuracies, start=1)),
        user_attrs={"cost": past.cost, "epochs": len(past.accuracies)},  # a complete one was trained for all of them
        system_attrs=dict(past.attrs),
    )
    trial.number = number
    return trial
