"""A study's trials → its result files. They hold no clock time, path or host name, so equal trials give equal bytes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reprotune.artifacts import write_csv, write_json, write_yaml
from reprotune.data.metric import unless_default
from reprotune.results.winners import (
    as_choices,
    as_config,
    best,
    best_configs,
    certainty,
    complete,
    feasible,
    pareto_front,
    standing,
)
from reprotune.search import pareto
from reprotune.search.space import names
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.stopping import ended_by
from reprotune.search.study.trials import Trial

CURVE = ("trial", "epoch", "train_loss", "valid_loss", "valid_accuracy")
REPEAT = ("number", "repeat", "state", "accuracy", "train_loss", "valid_loss", "reason")
POINT = ("number", "accuracy", "accuracy_mean", "accuracy_std", "n", "flops", "macs", "parameters")
TRIAL = ("number", "state", "accuracy", "flops", "macs", "parameters", "epochs")


def write_trials(folder: Path, spec: StudySpec, trials: Sequence[Trial]) -> None:
    columns = names(spec.space)
    header = [*TRIAL, *(f"params.{name}" for name in columns), "reason"]
    write_csv(folder / "trials.csv", header, (_row(trial, columns) for trial in trials))
    write_csv(folder / "learning_curves.csv", CURVE, (row for trial in trials for row in _curve(trial)))
    write_csv(folder / "finalists.csv", REPEAT, (row for trial in trials for row in _repeats(trial)))
    made_by = {"identity": spec.identity, "declared": spec.declared, "dataset": spec.dataset.digest}
    given = ({"limits": spec.limits} if spec.limits else {}) | unless_default(spec.metric)
    write_json(folder / "study.json", made_by | given | spec.environment)


def _row(trial: Trial, columns: Sequence[str]) -> list[Any]:
    result = trial.result
    cost = result.cost or (None, None, None)
    params = [trial.config.get(name) for name in columns]
    return [trial.number, result.state, result.accuracy, *cost, len(result.curve), *params, result.reason]


def _curve(trial: Trial) -> Iterator[tuple[Any, ...]]:
    return ((trial.number, epoch, *point) for epoch, point in enumerate(trial.result.curve, start=1))


def _repeats(trial: Trial) -> Iterator[tuple[Any, ...]]:
    for repeat, result in enumerate(trial.repeats):
        train_loss, valid_loss, accuracy = result.curve[-1] if result.curve else (None, None, None)
        yield (trial.number, repeat, result.state, accuracy, train_loss, valid_loss, result.reason)


def write_single_objective(folder: Path, spec: StudySpec, trials: Sequence[Trial]) -> dict[str, Any]:
    """Write the files; return the content of metrics.json."""
    winner = best(trials)
    write_trials(folder, spec, trials)
    write_yaml(folder / "best_config.yaml", as_config(winner))
    metrics = {"best_accuracy": _best_accuracy(trials), **certainty(trials, winner), **_counts(spec, trials)}
    write_json(folder / "metrics.json", metrics)
    return metrics


def write_multi_objective(folder: Path, spec: StudySpec, trials: Sequence[Trial]) -> dict[str, Any]:
    """Write the files; return the content of metrics.json."""
    front = pareto_front(spec, trials)
    columns = names(spec.space)
    write_trials(folder, spec, trials)
    header = [*POINT, *(f"params.{name}" for name in columns)]
    rows = [as_config(trial) for trial in front]
    cells = ([*(row.get(key) for key in POINT), *(row["params"].get(name) for name in columns)] for row in rows)
    write_csv(folder / "pareto_front.csv", header, cells)
    winners = best_configs(front)
    write_yaml(folder / "best_configs.yaml", as_choices(winners))
    reference = spec.reference_point
    volume = pareto.hypervolume([standing(trial) for trial in front], reference)
    metrics = {
        "best_accuracy": _best_accuracy(trials),
        **certainty(trials, winners["most_accurate"]),
        "hypervolume": volume,
        "hypervolume_reference": {spec.objectives[0]: reference[0], "accuracy": reference[1]},
        "feasible": len(feasible(spec, trials)),  # 0: the front and its winners only stand in
        "pareto_optimal": len(front),
        **_counts(spec, trials),
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


def _best_accuracy(trials: Sequence[Trial]) -> float:
    """Of any trial's one training, as the search went on."""
    return max(trial.result.accuracy or 0.0 for trial in complete(trials))


def _counts(spec: StudySpec, trials: Sequence[Trial]) -> dict[str, Any]:
    states = [trial.result.state for trial in trials]
    return {
        "trials": len(trials),
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "too_large": sum(trial.result.untrained for trial in trials),  # of these
        "failed": states.count("FAIL"),
        "epochs": sum(len(trial.result.curve) for trial in trials),
        # A study that its timeout ended would have had other trials on a faster or slower machine.
        "stopped_by": ended_by(spec, trials) or "timeout",
    }
