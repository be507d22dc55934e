"""Which trials of a study win: the best one, the Pareto front and its named members."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, cast

from reprotune.errors import UserError
from reprotune.results import confidence, scores
from reprotune.search import pareto
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

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
        failed = [trial.result for trial in trials if trial.result.state == "FAIL"]
        advice = "widen the search space or the timeout"
        if failed and all(result.by_machine for result in failed):
            advice = "fix the cause, or raise execution.trial_timeout, then run `make retry`"
        raise UserError(f"no trial of {len(trials)} is complete: {reasons}; {advice}")
    return found


def accuracies(trial: Trial) -> list[float]:
    """Of a complete trial's trainings, the first and its repeats; one that failed has none right."""
    trainings = (trial.result, *trial.repeats)
    return [training.accuracy or 0.0 if training.state == "COMPLETE" else 0.0 for training in trainings]


def first_accuracy(trial: Trial) -> float:
    """A complete trial's after its first training, as it was told."""
    assert trial.result.accuracy is not None
    return trial.result.accuracy


def accuracy(trial: Trial) -> float:
    """What a complete trial's accuracy is: the mean over its trainings."""
    return fmean(accuracies(trial))


def on_valid(trial: Trial) -> dict[str, Any]:
    """Mean, sample standard deviation and number of its trainings, as metrics; of one there is no deviation."""
    found = scores.of_seeds(accuracies(trial))
    return {key if key == "n" else f"accuracy_{key}": value for key, value in found.items()}


def best(trials: Sequence[Trial]) -> Trial:
    """The most accurate; the first of equals. Of the finalists, where there are any."""
    found = complete(trials)
    contenders = [trial for trial in found if trial.repeats] or found
    return max(contenders, key=lambda trial: (accuracy(trial), -trial.number))


def feasible(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """The complete trials that are not below the floor."""
    return [trial for trial in trials if trial.result.state == "COMPLETE" and accuracy(trial) >= spec.floor]


def pareto_front(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """The Pareto-optimal among the feasible trials by rising cost. If none is feasible, the least infeasible stand in:
    the most accurate.

    Where finalists were trained again: of these by their means, and of the front that all had after one training,
    whose cheap end may not be among them; of the others if all of these have fallen below the floor.
    """
    found = complete(trials)
    first = {trial.number for trial in _front(spec, found, point)}
    contenders = [trial for trial in found if trial.repeats or trial.number in first]
    if not feasible(spec, contenders):
        contenders = feasible(spec, found) or contenders
    return _front(spec, contenders, standing)


def _front(spec: StudySpec, trials: Sequence[Trial], at: Callable[[Trial], pareto.Point]) -> list[Trial]:
    floor = min(spec.floor, max(at(trial)[1] for trial in trials))
    allowed = [trial for trial in trials if at(trial)[1] >= floor]
    return [allowed[i] for i in pareto.front([at(trial) for trial in allowed])]


def best_configs(front: Sequence[Trial]) -> dict[str, Trial]:
    """The front's ends, its knee (pareto.knee says which that is), and the cheapest that lose little accuracy."""
    knee = pareto.knee([standing(trial) for trial in front])
    named = {"most_accurate": _cheapest_within(front, 0.0), "knee": front[knee], "cheapest": front[0]}
    named |= {name: _cheapest_within(front, points) for name, points in _WITHIN.items()}
    return {name: named[name] for name in WINNERS}


def _cheapest_within(front: Sequence[Trial], lost: float) -> Trial:
    least = accuracy(front[-1]) - lost - _ROUNDING
    return next(trial for trial in front if accuracy(trial) >= least)


def point(trial: Trial) -> pareto.Point:
    """(cost, accuracy) of a complete trial, as it was told."""
    values = cast("list[float]", trial.optuna.values)
    return (values[0], values[1])


def standing(trial: Trial) -> pareto.Point:
    """(cost, accuracy) of a complete trial, over all its trainings."""
    return (point(trial)[0], accuracy(trial))


def certainty(trials: Sequence[Trial], winner: Trial) -> dict[str, float]:
    """What metrics.json says of the finalists and the winner among them; nothing where there are none."""
    finalists = [trial for trial in trials if trial.repeats]
    if not winner.repeats:
        return {}
    trainings, number = [accuracies(trial) for trial in finalists], [t.number for t in finalists].index(winner.number)
    found = {
        "finalists": len(finalists),
        "winner_accuracy": accuracy(winner),
        "winner_standard_error": confidence.standard_error(trainings),
        "winner_probability": confidence.probability_of_best(trainings, number),
    }
    return {name: value for name, value in found.items() if value is not None}


def as_config(trial: Trial) -> dict[str, Any]:
    """What a config file says of a winner."""
    assert trial.result.cost is not None
    return {
        "number": trial.number,
        "accuracy": trial.result.accuracy,
        **on_valid(trial),
        **trial.result.cost._asdict(),
        "params": dict(trial.config),
    }


def as_choices(winners: Mapping[str, Trial]) -> dict[str, dict[str, Any]]:
    """What best_configs.yaml says: each winner, with what it loses and saves over the most accurate one."""
    most = standing(winners["most_accurate"])
    choices = {}
    for name, trial in winners.items():
        cost, reached = standing(trial)
        against = {"accuracy_lost": most[1] - reached, "cost_saved": 1 - cost / most[0]}
        config = as_config(trial)
        params = config.pop("params")
        choices[name] = {**config, **against, "params": params}
    return choices
