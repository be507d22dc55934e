"""Result files → the trials that they were written from."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from reprotune.artifacts import read_csv, read_json, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.params import Params
from reprotune.search import journal
from reprotune.search.history import History
from reprotune.search.pruners import PRUNERS, TrialPruner
from reprotune.search.space import parse, suggest
from reprotune.search.spec import StudySpec, default_study, from_params, multi_objective
from reprotune.search.study import Trial, past_trial, task, told
from reprotune.search.trial import Result, State
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch
from reprotune.training.models import Config


def read_studies(params: Params, dataset: StoredDataset) -> tuple[StudySpec, StudySpec]:
    """Both studies, the second as it follows from what the first found."""
    floor = _default_accuracy(params, dataset) if params.multi_objective.min_accuracy == "default" else None
    second = multi_objective(params, dataset, best_params(), floor)
    _know_reference(second)
    return from_params(params, "single_objective", dataset), second


def _know_reference(spec: StudySpec) -> None:
    """Its results have the hypervolume's reference point, for which torch would count its largest models' cost."""
    metrics, made_by = spec.folder / "metrics.json", spec.folder / "study.json"
    if metrics.exists() and made_by.exists() and read_json(made_by).get("declared") == spec.declared:
        reference = read_json(metrics)["hypervolume_reference"]
        vars(spec)["reference_point"] = (reference[spec.cost], reference["accuracy"])  # as the property remembers it


def _default_accuracy(params: Params, dataset: StoredDataset) -> float | None:
    """The floor of `default`, as the second study has it: from its results, or else as an interrupted one left it."""
    made_by = Path("results/multi_objective/study.json")
    if made_by.exists():
        floor: float | None = read_json(made_by).get("limits", {}).get("min_accuracy")
        return floor
    alone = default_study(params, dataset)
    if not alone.journal.exists():
        return None
    with journal.opened(alone.journal, alone.directions, lambda _: False) as opened:
        return next((trial.result.accuracy for trial in told(alone, opened)), None)


def best_params() -> Config:
    """The first study's best config."""
    config: Config = read_yaml(Path("results/single_objective/best_config.yaml"))["params"]
    return config


def read_trials(folder: Path, spec: StudySpec) -> list[Trial]:
    """The trials of `folder`'s trials.csv, learning_curves.csv and finalists.csv: all but the times, which no result
    file holds.

    Raises UserError if they are those of another study.
    """
    if read_json(folder / "study.json").get("declared") != spec.declared:
        raise UserError(f"{folder}: holds a study of other params or data; run `dvc repro`, or take back the change")
    curves: defaultdict[str, list[Epoch]] = defaultdict(list)
    for row in read_csv(folder / "learning_curves.csv"):
        curves[row["trial"]].append(Epoch(*(float(row[name]) for name in Epoch._fields)))
    repeats: defaultdict[str, list[Result]] = defaultdict(list)
    for row in read_csv(folder / "finalists.csv"):
        repeats[row["number"]].append(_repeat(row))
    rows = read_csv(folder / "trials.csv")
    return [_trial(spec, row, tuple(curves[row["number"]]), tuple(repeats[row["number"]])) for row in rows]


def _repeat(row: Mapping[str, str]) -> Result:
    last = (float(row[name]) for name in ("train_loss", "valid_loss", "accuracy") if row["accuracy"])
    return Result(_STATES[row["state"]], (Epoch(*last),) if row["accuracy"] else (), None, row["reason"])


def _trial(spec: StudySpec, row: Mapping[str, str], curve: tuple[Epoch, ...], repeats: tuple[Result, ...]) -> Trial:
    cells = {name.removeprefix("params."): cell for name, cell in row.items() if name.startswith("params.")}
    config = parse(spec.space, cells)
    cost = Cost(*(int(row[name]) for name in Cost._fields)) if row["flops"] else None
    result = Result(_STATES[row["state"]], curve, cost, row["reason"])
    frozen = _frozen(spec, int(row["number"]), config, result)
    return Trial(int(row["number"]), config, result, 0.0, frozen, repeats)


_STATES: Mapping[str, State] = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAIL": "FAIL"}


def _frozen(spec: StudySpec, number: int, config: Config, result: Result) -> FrozenTrial:
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


def with_attrs(spec: StudySpec, trials: list[Trial]) -> list[Result]:
    """The results with what the pruner noted about each trial, which it would note again."""
    results, history = list[Result](), History()
    for trial in trials:
        known = task(spec, trial.number, trial.config, history).history.frozen()
        cost, epochs = past_trial(spec, trial.result).cost, trial.config["epochs"]
        pruner = TrialPruner(PRUNERS[spec.pruner](**spec.pruner_settings), known, trial.number, cost, epochs)
        for epoch, point in enumerate(trial.result.curve, start=1):
            pruner.should_prune(epoch, point.valid_accuracy)
        results.append(replace(trial.result, attrs=pruner.attrs))
        history.append(past_trial(spec, results[-1]))
    return results


def empty_study(spec: StudySpec) -> optuna.Study:
    """A study without trials, for what only asks for its directions."""
    return optuna.create_study(study_name=spec.name, directions=spec.directions)
