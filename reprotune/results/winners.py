"""Which trials of a study win: the best one, the Pareto front and its named members."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from reprotune.errors import UserError
from reprotune.search import pareto
from reprotune.search.study import Trial


def complete(trials: Sequence[Trial]) -> list[Trial]:
    """Those that can win. Raises UserError if there are none."""
    found = [trial for trial in trials if trial.result.state == "COMPLETE"]
    if not found:
        commonest = Counter(trial.result.reason for trial in trials).most_common(3)
        reasons = "; ".join(reason for reason, _ in commonest) or "the timeout came first"
        advice = "widen the search space or the timeout"
        raise UserError(f"none of the {len(trials)} trials is complete: {reasons}; {advice}")
    return found


def best(trials: Sequence[Trial]) -> Trial:
    """The most accurate; the first of equals."""
    return max(complete(trials), key=lambda trial: (trial.result.accuracy, -trial.number))


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """The Pareto-optimal trials by rising cost."""
    candidates = complete(trials)
    return [candidates[i] for i in pareto.front([point(trial) for trial in candidates])]


def best_configs(front: Sequence[Trial]) -> dict[str, Trial]:
    """The front's ends and its knee (pareto.knee says which that is)."""
    knee = pareto.knee([point(trial) for trial in front])
    return {"most_accurate": front[-1], "cheapest": front[0], "knee": front[knee]}


def point(trial: Trial) -> pareto.Point:
    """(cost, accuracy) of a complete trial."""
    values = cast("list[float]", trial.optuna.values)
    return (values[0], values[1])


def as_config(trial: Trial) -> dict[str, Any]:
    """What a config file says of a winner."""
    assert trial.result.cost is not None
    return {
        "number": trial.number,
        "accuracy": trial.result.accuracy,
        **trial.result.cost._asdict(),
        "params": dict(trial.config),
    }
