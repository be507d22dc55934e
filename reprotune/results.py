"""A study's trials → its result files. They hold no clock time, path or host name, so equal trials give equal bytes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

from reprotune import bits, pareto
from reprotune.artifacts import write_csv, write_json, write_yaml
from reprotune.errors import Refused
from reprotune.search_space import names
from reprotune.spec import Spec
from reprotune.study import Trial

CURVE = ("trial", "epoch", "train_loss", "valid_loss", "valid_accuracy")
TRIAL = ("number", "state", "accuracy", "flops", "macs", "parameters", "epochs")


def complete(trials: Sequence[Trial]) -> list[Trial]:
    """Those that can win. Raises Refused if there are none."""
    found = [trial for trial in trials if trial.result.state == "COMPLETE"]
    if not found:
        commonest = Counter(trial.result.reason for trial in trials).most_common(3)
        reasons = "; ".join(reason for reason, _ in commonest) or "the timeout came first"
        raise Refused(f"none of the {len(trials)} trials is complete: {reasons}; widen the search space or the timeout")
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


def write_trials(folder: Path, spec: Spec, trials: Sequence[Trial]) -> None:
    columns = names(spec.space)
    header = [*TRIAL, *(f"params.{name}" for name in columns), "reason"]
    write_csv(folder / "trials.csv", header, (_row(trial, columns) for trial in trials))
    write_csv(folder / "learning_curves.csv", CURVE, (row for trial in trials for row in _curve(trial)))
    # Where these differ, other bits are to be expected.
    made_by = {"identity": spec.identity, "declared": spec.declared, "dataset": spec.dataset.digest}
    write_json(folder / "study.json", made_by | bits.arithmetic(spec.device))


def _row(trial: Trial, columns: Sequence[str]) -> list[Any]:
    result = trial.result
    cost = result.cost or (None, None, None)
    params = [trial.config.get(name) for name in columns]
    return [trial.number, result.state, result.accuracy, *cost, len(result.curve), *params, result.reason]


def _curve(trial: Trial) -> Iterator[tuple[Any, ...]]:
    return ((trial.number, epoch, *point) for epoch, point in enumerate(trial.result.curve, start=1))


def write_single_objective(folder: Path, spec: Spec, trials: Sequence[Trial]) -> dict[str, Any]:
    """Write the files; return the content of metrics.json."""
    winner = as_config(best(trials))
    write_trials(folder, spec, trials)
    write_yaml(folder / "best_config.yaml", winner)
    metrics = {"best_accuracy": winner["accuracy"], **_counts(spec, trials)}
    write_json(folder / "metrics.json", metrics)
    return metrics


def write_multi_objective(folder: Path, spec: Spec, trials: Sequence[Trial]) -> dict[str, Any]:
    """Write the files; return the content of metrics.json."""
    front = pareto_front(trials)
    columns = names(spec.space)
    write_trials(folder, spec, trials)
    header = ["number", "accuracy", "flops", "macs", "parameters", *(f"params.{name}" for name in columns)]
    rows = [as_config(trial) for trial in front]
    cells = ([*(row[key] for key in header[:5]), *(row["params"].get(name) for name in columns)] for row in rows)
    write_csv(folder / "pareto_front.csv", header, cells)
    winners = best_configs(front)
    write_yaml(folder / "best_configs.yaml", {name: as_config(trial) for name, trial in winners.items()})
    reference = spec.reference_point
    volume = pareto.hypervolume([point(trial) for trial in front], reference)
    metrics = {
        "best_accuracy": winners["most_accurate"].result.accuracy,
        "hypervolume": volume,
        "hypervolume_reference": {spec.objectives[0]: reference[0], "accuracy": reference[1]},
        "pareto_optimal": len(front),
        **_counts(spec, trials),
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


def series(spec: Spec, trials: Sequence[Trial]) -> dict[str, list[float]]:
    """What the study had reached after each trial."""
    reached = {"best_accuracy_by_trial": best_accuracies(trials)}
    return reached | ({"hypervolume_by_trial": hypervolumes(spec, trials)} if spec.cost else {})


def best_accuracies(trials: Sequence[Trial]) -> list[float]:
    """The best accuracy after each trial; 0 until one is complete."""
    accuracies = (trial.result.accuracy or 0.0 if trial.result.state == "COMPLETE" else 0.0 for trial in trials)
    return list(accumulate(accuracies, max))


def hypervolumes(spec: Spec, trials: Sequence[Trial]) -> list[float]:
    """The hypervolume of a multi-objective study after each trial."""
    volumes, points = [], list[pareto.Point]()
    for trial in trials:
        if trial.result.state == "COMPLETE":
            points = [*points, point(trial)]
            points = [points[i] for i in pareto.front(points)]
        volumes.append(pareto.hypervolume(points, spec.reference_point))
    return volumes


def _counts(spec: Spec, trials: Sequence[Trial]) -> dict[str, Any]:
    states = [trial.result.state for trial in trials]
    return {
        "trials": len(trials),
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "failed": states.count("FAIL"),
        "epochs": sum(len(trial.result.curve) for trial in trials),
        # A study that its timeout ended would have had other trials on a faster or slower machine.
        "stopped_by": "n_trials" if len(trials) == spec.n_trials else "timeout",
    }
