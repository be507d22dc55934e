"""PRUNERS, and how a worker asks one about the trial that it trains.

Optuna's pruners read a study. A worker has none: it is given what pruners read of the trials that had been
told when its own was asked, and shows them a study of exactly these and its own trial.
"""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import optuna
from optuna.pruners import BasePruner
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import Field

from reprotune.errors import ParamsError, one_line
from reprotune.params import LedRung, Rung
from reprotune.search.pareto import Point
from reprotune.training.hyperparameters import mismatch

optuna.logging.set_verbosity(optuna.logging.WARNING)  # that a study was created is no news: each trial makes one


class ParetoPruner(BasePruner):
    """Prunes a trial as soon as a finished trial that costs no more is ahead of it by more than `margin`.

    Only more accuracy than all that cost no more would bring it to the front. Such a rival is compared after the
    same epoch; one that was trained for fewer epochs, at the same share of its training, since an accuracy rises
    with the epochs and a schedule ends with them. Where learning curves do not cross, a rival that is ahead stays
    so. `margin`: by how much accuracy a curve may catch up; it covers the noise too, and a higher one prunes less.
    `n_warmup_steps`: the first epoch after which a trial is judged, as Optuna counts it.

    Reads a study of accuracies whose trials have the user attributes `cost` (of which only the order counts) and
    `epochs` (how many its training has).
    """

    def __init__(self, margin: float = 0.02, n_warmup_steps: int = 0) -> None:
        self._margin, self._n_warmup_steps = margin, n_warmup_steps

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        assert trial.last_step is not None
        if trial.last_step < self._n_warmup_steps:
            return False
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        rivals = (rival for rival in finished if rival.user_attrs["cost"] <= trial.user_attrs["cost"])
        return any(_lead(rival, trial) > self._margin for rival in rivals)


def _lead(rival: FrozenTrial, trial: FrozenTrial) -> float:
    """By how much the rival was more accurate at this point of its training; nothing before its first epoch."""
    assert trial.last_step is not None
    epochs = trial.user_attrs["epochs"]
    step = trial.last_step * min(rival.user_attrs["epochs"], epochs) // epochs
    return rival.intermediate_values[step] - trial.intermediate_values[trial.last_step] if step else 0.0


def _hyperband(min_resource: int = 1, max_resource: int | str = "auto", **settings: Any) -> BasePruner:
    if isinstance(max_resource, int) and min_resource > max_resource:  # it would prune nothing, and not say so
        raise ValueError("min_resource must not be above max_resource")
    return optuna.pruners.HyperbandPruner(min_resource, max_resource, **settings)


PRUNERS: dict[str, Callable[..., BasePruner]] = {  # settings → pruner
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": partial(optuna.pruners.PercentilePruner, percentile=25.0),  # prunes all but the best quarter
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": _hyperband,
    "pareto": ParetoPruner,
}
_Count = Annotated[int, Field(ge=0, le=1_000_000)]
_Positive = Annotated[int, Field(ge=1, le=1_000_000)]
_Factor = Annotated[int, Field(ge=2, le=1_000_000)]
_MEDIAN = {"n_startup_trials": _Count, "n_warmup_steps": _Count, "interval_steps": _Positive, "n_min_trials": _Positive}

# What may be set of each, by the names that Optuna has for it: the types of the legal values. A step is an epoch.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "median": _MEDIAN,
    "percentile": {"percentile": Annotated[float, Field(ge=0, le=100)], **_MEDIAN},
    "successive_halving": {
        "min_resource": _Positive | Literal["auto"],
        "reduction_factor": _Factor,
        "min_early_stopping_rate": Annotated[int, Field(ge=0, le=100)],
        "bootstrap_count": _Count,
    },
    "hyperband": {
        "min_resource": _Positive,
        "max_resource": _Positive | Literal["auto"],
        "reduction_factor": _Factor,
        "bootstrap_count": _Count,
    },
    "pareto": {"margin": Annotated[float, Field(ge=0, le=1)], "n_warmup_steps": _Count},
}
SEVERAL_OBJECTIVES = ("none", "pareto")  # the pruners of a study with a cost; the others judge by accuracy alone
ONE_OBJECTIVE = tuple(name for name in PRUNERS if name != "pareto")


def chosen(declared: str | Mapping[str, Any], known: Sequence[str], key: str) -> tuple[str, Mapping[str, Any]]:
    """(name, settings) of a pruner that `key` of params.yaml declares by its name, or by a mapping with it.

    known: the pruners of such a study. Raises ParamsError.
    """
    settings = {} if isinstance(declared, str) else dict(declared)
    name = declared if isinstance(declared, str) else settings.pop("name", None)
    if name not in known:
        at = key if isinstance(declared, str) else f"{key}.name"
        raise ParamsError(at, name, f"must be one of {', '.join(known)}")
    legal = SETTINGS[name]
    for setting, value in settings.items():
        if setting not in legal:
            raise ParamsError(f"{key}.{setting}", value, f"unknown setting; known here: {', '.join(['name', *legal])}")
        if wrong := mismatch(legal[setting], value):
            raise ParamsError(f"{key}.{setting}", value, wrong)
    try:
        PRUNERS[name](**settings)
    except ValueError as error:  # of settings that do not go together
        raise ParamsError(key, declared, one_line(error)) from None
    return name, settings


def goes_on(rung: Rung, points: Sequence[Point | None]) -> bool:
    """Whether the last of these trials is trained beyond its rung.

    points: (cost, accuracy there) of all trials up to it, in the order of their numbers; None of one that did not
    come so far. Without a cost, it must be among the best `share` of the last `among`; with one, no trial that costs
    no more may lead it by more than `margin`.
    """
    if not points[-1]:
        return True
    cost, accuracy = points[-1]
    reached = [point for point in points if point]
    if isinstance(rung, LedRung):
        return all(other - accuracy <= rung.margin for at_cost, other in reached if at_cost <= cost)
    seen = reached[-rung.among :]
    return sum(other > accuracy for _, other in seen) < math.ceil(rung.share * len(seen))


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


class TrialPruner:
    """Decides whether trial `number` is pruned, by its curve so far and the trials that it may be compared with.

    known: the trials told when this one was asked, that is the first ones of the study.
    cost, epochs: of this trial; see PastTrial and config["epochs"].
    """

    def __init__(
        self, pruner: BasePruner, known: Sequence[FrozenTrial], number: int, cost: float | None, epochs: int
    ) -> None:
        storage = _Seen(known)
        study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "reprotune")
        trial_id = storage.create_new_trial(study_id)
        storage.get_trial(trial_id).number = number
        self._trial = Trial(Study("reprotune", storage, pruner=pruner), trial_id)
        self._trial.set_user_attr("cost", cost)
        self._trial.set_user_attr("epochs", epochs)

    def should_prune(self, epoch: int, accuracy: float) -> bool:
        self._trial.report(accuracy, epoch)
        return self._trial.should_prune()

    @property
    def attrs(self) -> dict[str, Any]:
        return self._trial.storage.get_trial(self._trial._trial_id).system_attrs
