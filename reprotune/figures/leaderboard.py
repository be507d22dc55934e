"""A study's trials as a table for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from reprotune.results.importances import key
from reprotune.results.scores import short
from reprotune.results.winners import accuracy
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial


def leaderboard(spec: StudySpec, trials: Sequence[Trial]) -> Mapping[str, Any]:
    """All trials, the most accurate complete ones first: columns, and rows of cells as they are shown."""
    names = searched(spec, trials)
    ordered = sorted(trials, key=_place)
    columns = ["trial", "state", "accuracy", "mean", "FLOPs", "epochs trained", *names, "reason"]
    rows = [
        [*_result(trial), *(short(trial.config.get(name, "")) for name in names), trial.result.reason]
        for trial in ordered
    ]
    return {"columns": columns, "rows": rows}


def searched(spec: StudySpec, trials: Sequence[Trial]) -> list[str]:
    """The hyperparameters that some trial had a choice of, in the order in which they are declared."""
    every = {name: not known.single() for trial in trials for name, known in trial.optuna.distributions.items()}
    place = {name: (list(spec.space).index(key(spec.space, name)), len(name), name) for name in every}
    return sorted((name for name, several in every.items() if several), key=place.__getitem__)


def _place(trial: Trial) -> tuple[int, float, int]:
    state = ("COMPLETE", "PRUNED", "FAIL").index(trial.result.state)
    reached = accuracy(trial) if trial.result.state == "COMPLETE" else trial.result.accuracy or 0.0
    return state, -reached, trial.number


def _result(trial: Trial) -> tuple[str, ...]:
    reached, cost = trial.result.accuracy, trial.result.cost
    return (
        str(trial.number),
        trial.result.state.lower(),
        f"{reached:.4f}" if reached is not None else "",
        f"{accuracy(trial):.4f}" if trial.repeats else "",
        f"{cost.flops:,}" if cost else "",
        str(len(trial.result.curve)),
    )
