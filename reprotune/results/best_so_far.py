"""What a study had reached after each of its trials."""

from collections.abc import Sequence
from itertools import accumulate

from reprotune.results.winners import point
from reprotune.search import pareto
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial


def series(spec: StudySpec, trials: Sequence[Trial]) -> dict[str, list[float]]:
    """What the study had reached after each trial."""
    reached = {"best_accuracy_by_trial": best_accuracies(trials)}
    return reached | ({"hypervolume_by_trial": hypervolumes(spec, trials)} if spec.cost else {})


def best_accuracies(trials: Sequence[Trial]) -> list[float]:
    """The best accuracy after each trial; 0 until one is complete."""
    accuracies = (trial.result.accuracy or 0.0 if trial.result.state == "COMPLETE" else 0.0 for trial in trials)
    return list(accumulate(accuracies, max))


def hypervolumes(spec: StudySpec, trials: Sequence[Trial]) -> list[float]:
    """The hypervolume of a multi-objective study after each trial."""
    volumes, points = [], list[pareto.Point]()
    for trial in trials:
        if trial.result.state == "COMPLETE":
            points = pareto.extended(points, point(trial))
        volumes.append(pareto.hypervolume(points, spec.reference_point))
    return volumes
