"""Result files → the trials that they were written from."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from reprotune.artifacts import read_csv, read_json
from reprotune.cost import Cost
from reprotune.curve import Epoch
from reprotune.errors import Refused
from reprotune.models import Config
from reprotune.pruners import Judge, Memory
from reprotune.search_space import parse, suggest
from reprotune.spec import Spec
from reprotune.study import Trial, as_past, task
from reprotune.trial import Result, State


def read(folder: Path, spec: Spec) -> list[Trial]:
    """The trials of `folder`'s trials.csv and learning_curves.csv: all but the times, which no result file holds.

    Raises Refused if they are those of another study.
    """
    if read_json(folder / "study.json").get("declared") != spec.declared:
        raise Refused(f"{folder}: holds a study of other params or data; run `dvc repro`, or take back the change")
    curves: defaultdict[str, list[Epoch]] = defaultdict(list)
    for row in read_csv(folder / "learning_curves.csv"):
        curves[row["trial"]].append(Epoch(*(float(row[name]) for name in Epoch._fields)))
    return [_trial(spec, row, tuple(curves[row["number"]])) for row in read_csv(folder / "trials.csv")]


def _trial(spec: Spec, row: Mapping[str, str], curve: tuple[Epoch, ...]) -> Trial:
    cells = {name.removeprefix("params."): cell for name, cell in row.items() if name.startswith("params.")}
    config = parse(spec.space, cells)
    cost = Cost(*(int(row[name]) for name in Cost._fields)) if row["flops"] else None
    result = Result(_STATES[row["state"]], curve, cost, row["reason"])
    return Trial(int(row["number"]), config, result, 0.0, _frozen(spec, int(row["number"]), config, result))


_STATES: Mapping[str, State] = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAIL": "FAIL"}


def _frozen(spec: Spec, number: int, config: Config, result: Result) -> FrozenTrial:
    fixed = FixedTrial(dict(config))
    suggest(fixed, spec.space)
    trial = create_trial(
        state=TrialState[result.state],
        values=spec.values(result),
        params=fixed.params,
        distributions=fixed.distributions,
    )
    trial.number = number
    return trial


def with_attrs(spec: Spec, trials: list[Trial]) -> list[Result]:
    """The results with what the pruner noted about each trial, which it would note again."""
    results, memory = list[Result](), Memory()
    for trial in trials:
        told = task(spec, trial.number, trial.config, memory).told
        cost, epochs = as_past(spec, trial.result).cost, trial.config["epochs"]
        judge = Judge(spec.pruner, told.frozen(), trial.number, cost, epochs)
        for epoch, point in enumerate(trial.result.curve, start=1):
            judge.should_prune(epoch, point.valid_accuracy)
        results.append(replace(trial.result, attrs=judge.attrs))
        memory.append(as_past(spec, results[-1]))
    return results


def optuna_study(spec: Spec) -> optuna.Study:
    """A study without trials, for what only asks for its directions."""
    return optuna.create_study(study_name=spec.name, directions=spec.directions)
