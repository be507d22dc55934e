"""Result files → the trials that they were written from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import optuna

from reprotune.arithmetic import kernels
from reprotune.artifacts import read_csv, read_json, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.errors import ParamsError, UserError
from reprotune.params import Params
from reprotune.search.history import History
from reprotune.search.pruners import PRUNERS, TrialPruner
from reprotune.search.space import contains, parse
from reprotune.search.study import journal
from reprotune.search.study.declaration import default_study, from_params, multi_objective
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.tasks import past_trial, task
from reprotune.search.study.trials import Trial, frozen_trial, told
from reprotune.search.trial import Result, State
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch
from reprotune.training.models import Config

_BEST = Path("results/single_objective/best_config.yaml")


def read_studies(params: Params, dataset: StoredDataset) -> tuple[StudySpec, StudySpec]:
    """Both studies, the second as it follows from what the first found."""
    floor = _default_accuracy(params, dataset) if params.multi_objective.min_accuracy == "default" else None
    second = _with_adopted(multi_objective(params, dataset, best_params(), floor))
    return _first_study(params, dataset), _with_reference(second)


def begun_studies(params: Params, dataset: StoredDataset) -> Sequence[StudySpec]:
    """Both studies, or the first alone as long as it has no results, on which the second depends."""
    return read_studies(params, dataset) if _BEST.exists() else [_first_study(params, dataset)]


def _first_study(params: Params, dataset: StoredDataset) -> StudySpec:
    return _with_adopted(from_params(params, "single_objective", dataset))


def _with_reference(spec: StudySpec) -> StudySpec:
    """The study, with the hypervolume's reference point if its results have it."""
    metrics, made_by = spec.folder / "metrics.json", spec.folder / "study.json"
    if not (metrics.exists() and made_by.exists()) or read_json(made_by).get("declared") != spec.declared:
        return spec
    reference = read_json(metrics)["hypervolume_reference"]
    return replace(spec, known_reference=(reference[spec.cost], reference["accuracy"]))


def _default_accuracy(params: Params, dataset: StoredDataset) -> float | None:
    """The floor of `default`: that of the second study's results, which may have another; without, as it was begun."""
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
    config: Config = read_yaml(_BEST)["params"]
    return config


def read_trials(folder: Path, spec: StudySpec) -> list[Trial]:
    """The trials of `folder`'s trials.csv, learning_curves.csv and finalists.csv: all but the times, which no result
    file holds.

    Raises UserError if they are those of another study.
    """
    if read_json(folder / "study.json").get("declared") != spec.declared:
        raise UserError(f"{folder}: holds a study of other params or data; run `dvc repro`, or take back the change")
    curves = _curves(folder)
    repeats: defaultdict[str, list[Result]] = defaultdict(list)
    for row in read_csv(folder / "finalists.csv"):
        repeats[row["number"]].append(_repeat(row))
    rows = read_csv(folder / "trials.csv")
    return [_trial(spec, row, curves[row["number"]], tuple(repeats[row["number"]])) for row in rows]


def _curves(folder: Path) -> Mapping[str, tuple[Epoch, ...]]:
    points: defaultdict[str, tuple[Epoch, ...]] = defaultdict(tuple)
    for row in read_csv(folder / "learning_curves.csv"):
        points[row["trial"]] += (Epoch(*(float(row[name]) for name in Epoch._fields)),)
    return points


def with_adopted(spec: StudySpec) -> StudySpec:
    """A study that is to be run, with the trials that it adopts.

    Raises UserError if none are there, or if they are of other data, another metric or another environment.
    """
    found = _with_adopted(spec)
    if spec.adopt:
        folder = Path("adopted") / spec.name
        made_by = {"metric": "accuracy"} | read_json(folder / "study.json")
        # Not the sampler's own part of the environment: these trials are only trained.
        here = {"dataset": spec.dataset.digest, "metric": spec.metric, **kernels.environment(spec.device)}
        if other := [name for name, value in here.items() if made_by.get(name) != value]:
            raise UserError(f"{folder}: is of another {', '.join(other)}: its trials cannot be adopted")
    return found


def _with_adopted(spec: StudySpec) -> StudySpec:
    """The study, with those trials of `adopted/NAME` as its own first ones that can be, if it says so; wherever they
    were trained, so that its results can be read on any machine. Raises UserError if none are there.
    """
    folder = Path("adopted") / spec.name
    if not spec.adopt:
        return spec
    if not (folder / "study.json").exists():
        advice = f"cp -r results/{spec.name} adopted/ keeps a study for a later one"
        raise ParamsError(f"{spec.name}.adopt", True, f"{folder} holds no study; {advice}")
    curves = _curves(folder)
    found = ((_config(spec, row), _adopted(row, curves[row["number"]])) for row in read_csv(folder / "trials.csv"))
    return replace(spec, adopted=tuple((config, result) for config, result in found if config and _kept(spec, result)))


def _kept(spec: StudySpec, result: Result) -> bool:
    """Whether the trial was trained, did not fail, and keeps the study's caps."""
    trained = result.state != "FAIL" and result.curve
    return bool(trained and result.cost and not spec.caps.broken(result.cost))


def _config(spec: StudySpec, row: Mapping[str, str]) -> Config | None:
    """Of a trial that lies in the study's space."""
    cells = {name.removeprefix("params."): cell for name, cell in row.items() if name.startswith("params.") and cell}
    try:
        config = parse(spec.space, cells)
    except (KeyError, StopIteration, ValueError):  # another hyperparameter, another choice, no number
        return None
    return config if config.keys() == cells.keys() and contains(spec.space, config) else None


def _adopted(row: Mapping[str, str], curve: tuple[Epoch, ...]) -> Result:
    reason = ", ".join(filter(None, (f"adopted: trial {row['number']}", row["reason"])))
    return Result(_STATES[row["state"]], curve, _cost(row), reason)


def _cost(row: Mapping[str, str]) -> Cost | None:
    return Cost(*(int(row[name]) for name in Cost._fields)) if row["flops"] else None


def _repeat(row: Mapping[str, str]) -> Result:
    last = (float(row[name]) for name in ("train_loss", "valid_loss", "accuracy") if row["accuracy"])
    return Result(_STATES[row["state"]], (Epoch(*last),) if row["accuracy"] else (), None, row["reason"])


def _trial(spec: StudySpec, row: Mapping[str, str], curve: tuple[Epoch, ...], repeats: tuple[Result, ...]) -> Trial:
    cells = {name.removeprefix("params."): cell for name, cell in row.items() if name.startswith("params.")}
    config = parse(spec.space, cells)
    result = Result(_STATES[row["state"]], curve, _cost(row), row["reason"])
    frozen = frozen_trial(spec, int(row["number"]), config, result)
    return Trial(int(row["number"]), config, result, 0.0, frozen, repeats)


_STATES: Mapping[str, State] = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAIL": "FAIL"}


def with_attrs(spec: StudySpec, trials: list[Trial]) -> list[Result]:
    """The results with what the pruner noted about each trial, which it would note again."""
    results, history = list[Result](), History()
    for trial in trials:
        if trial.number < len(spec.adopted):
            results.append(trial.result)
            history.append(past_trial(spec, trial.result))
            continue
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
