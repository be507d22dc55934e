"""Which trials of a study win: the best one, the Pareto front and its named members."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from reprotune.errors import UserError
from reprotune.search import pareto
from reprotune.search.spec import StudySpec
from reprotune.search.study import Trial

# Of the second study, in the order in which they are shown.
WINNERS = ("most_accurate", "within_1_point", "within_2_points", "within_5_points", "knee", "cheapest")
_WITHIN = {"within_1_point": 0.01, "within_2_points": 0.02, "within_5_points": 0.05}  # of the best accuracy
_ROUNDING = 1e-9  # 0.94 − 0.93 is above 0.01


def complete(trials: Sequence[Trial]) -> list[Trial]:
    """Those that can win. Raises UserError if there are none."""
    found = [trial for trial in trials if trial.result.state == "COMPLETE"]
    if not found:
        commonest = Counter(trial.result.reason for trial in trials).most_common(3)
        reasons = "; ".join(reason for reason, _ in commonest) or "the timeout came first"
        advice = "widen the search space or the timeout"
        raise UserError(f"none of the {len(trials)} trials is complete: {reasons}; {advice}")
    return found


def accuracy(trial: Trial) -> float:
    """Of a complete trial: by what it is judged."""
    return cast("float", trial.result.accuracy)


def best(trials: Sequence[Trial]) -> Trial:
    """The most accurate; the first of equals."""
    return max(complete(trials), key=lambda trial: (accuracy(trial), -trial.number))


def feasible(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """The complete trials that are not below the floor."""
    done = (trial for trial in trials if trial.result.state == "COMPLETE")
    return [trial for trial in done if accuracy(trial) >= spec.floor]


def pareto_front(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """The Pareto-optimal among the feasible trials by rising cost. If none is feasible, the least infeasible stand in:
    the most accurate.
    """
    finished = complete(trials)
    nearest = accuracy(best(finished))
    candidates = feasible(spec, finished) or [trial for trial in finished if accuracy(trial) == nearest]
    return [candidates[i] for i in pareto.front([point(trial) for trial in candidates])]


def best_configs(front: Sequence[Trial]) -> dict[str, Trial]:
    """The front's ends, its knee (pareto.knee says which that is), and the cheapest that lose little accuracy."""
    knee = pareto.knee([point(trial) for trial in front])
    named = {"most_accurate": front[-1], "knee": front[knee], "cheapest": front[0]}
    named |= {name: _cheapest_within(front, points) for name, points in _WITHIN.items()}
    return {name: named[name] for name in WINNERS}


def _cheapest_within(front: Sequence[Trial], lost: float) -> Trial:
    least = accuracy(front[-1]) - lost - _ROUNDING
    return next(trial for trial in front if accuracy(trial) >= least)


def point(trial: Trial) -> pareto.Point:
    """(cost, accuracy) of a complete trial."""
    return (cast("list[float]", trial.optuna.values)[0], accuracy(trial))


def as_config(trial: Trial) -> dict[str, Any]:
    """What a config file says of a winner."""
    assert trial.result.cost is not None
    return {
        "number": trial.number,
        "accuracy": trial.result.accuracy,
        **trial.result.cost._asdict(),
        "params": dict(trial.config),
    }


def as_choices(winners: Mapping[str, Trial]) -> dict[str, dict[str, Any]]:
    """What best_configs.yaml says: each winner, with what it loses and saves over the most accurate one."""
    most = point(winners["most_accurate"])
    choices = {}
    for name, trial in winners.items():
        cost, reached = point(trial)
        against = {"accuracy_lost": most[1] - reached, "cost_saved": 1 - cost / most[0]}
        config = as_config(trial)
        params = config.pop("params")
        choices[name] = {**config, **against, "params": params}
    return choices
