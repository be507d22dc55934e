"""Which trials of a study win: the best one, the Pareto front and its named members."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any, cast

from reprotune.errors import UserError
from reprotune.results import confidence, scores
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


def accuracies(trial: Trial) -> list[float]:
    """Of a complete trial's trainings, the first and its repeats; one that failed has none right."""
    trainings = (trial.result, *trial.repeats)
    return [training.accuracy or 0.0 if training.state == "COMPLETE" else 0.0 for training in trainings]


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


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """The Pareto-optimal trials by rising cost. Where finalists were trained again: of these by their means, and of
    the front that all had after one training, whose cheap end may not be among them.
    """
    found = complete(trials)
    first = {found[i].number for i in pareto.front([point(trial) for trial in found])}
    candidates = [trial for trial in found if trial.repeats or trial.number in first]
    return [candidates[i] for i in pareto.front([standing(trial) for trial in candidates])]


def best_configs(front: Sequence[Trial]) -> dict[str, Trial]:
    """The front's ends and its knee (pareto.knee says which that is)."""
    knee = pareto.knee([standing(trial) for trial in front])
    return {"most_accurate": front[-1], "cheapest": front[0], "knee": front[knee]}


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
