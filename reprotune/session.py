"""A study from start to end: its trials run, shown, tracked and written to its result files."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reprotune import journal, notes, plots, records, results, study, tracking
from reprotune.artifacts import read_json
from reprotune.params import Params
from reprotune.progress import Standing, shown
from reprotune.spec import Spec
from reprotune.study import Trial


def folder(spec: Spec) -> Path:
    """Where the study's result files are."""
    return Path("results") / spec.name


def conduct(spec: Spec, params: Params, executor: Executor, anew: bool) -> None:
    """Run the study, or what its journal lacks of it. `anew`: train a finished one again, from its first trial."""

    def discard(opened: journal.Journal) -> bool:
        return anew and study.finished(spec, opened)

    # MLflow is imported and opened before the first ask, which has to wait for the workers' imports.
    with journal.opened(spec.journal, spec.directions, discard) as opened, _tracked(spec, params) as parent:
        _follow(study.run(spec, opened, executor), opened, spec, parent)


def _follow(running: Iterator[Trial], opened: journal.Journal, spec: Spec, parent: tracking.ParentRun) -> None:
    standing, trials = Standing(spec), list[Trial]()
    with shown() as show:
        for trial in running:
            trials.append(trial)
            standing.show(trial, show)
            if not parent.failed:
                with parent.surviving():
                    parent.log_trial(spec, opened.study, trial)
    metrics = _write(spec, trials)
    if not parent.failed:
        with parent.surviving():
            _log_whole(parent, spec, trials, metrics)


def track_again(spec: Spec, params: Params) -> int:
    """Write what MLflow lacks of the study, from its journal or else from its result files; how many trials it has."""
    if not spec.journal.exists():
        trials = records.read(folder(spec), spec)
        with _tracked(spec, params, read_json(folder(spec) / "study.json")["identity"]) as parent:
            _log_all(parent, spec, records.optuna_study(spec), trials)
        return len(trials)
    with journal.opened(spec.journal, spec.directions, lambda _: False) as opened, _tracked(spec, params) as parent:
        trials = study.told(opened, spec.n_trials)
        _log_all(parent, spec, opened.study, trials)
        return len(trials)


def _log_all(parent: tracking.ParentRun, spec: Spec, optuna_study: Any, trials: list[Trial]) -> None:
    for trial in trials:
        parent.log_trial(spec, optuna_study, trial)
    if (folder(spec) / "metrics.json").exists():
        _log_whole(parent, spec, trials, read_json(folder(spec) / "metrics.json"))


def _log_whole(parent: tracking.ParentRun, spec: Spec, trials: list[Trial], metrics: dict[str, Any]) -> None:
    parent.keep_only(len(trials))
    parent.log_series(results.series(spec, trials), trials)
    parent.log_metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
    parent.log_tags({"n_trials": spec.n_trials, "timeout": spec.timeout, "stopped_by": metrics["stopped_by"]})
    parent.log_tags({tracking.NOTE: notes.of_study(spec, trials)})
    parent.log_files(folder(spec))


def _write(spec: Spec, trials: list[Trial]) -> dict[str, Any]:
    write = results.write_multi_objective if spec.cost else results.write_single_objective
    metrics = write(folder(spec), spec, trials)
    plots.write(folder(spec) / "figures", spec, trials)
    return metrics


@contextmanager
def _tracked(spec: Spec, params: Params, identity: str = "") -> Iterator[tracking.ParentRun]:
    """The study's parent run, with the params that a resumed study cannot have changed.

    identity: of results that were made in another environment.
    """
    content = params.model_dump(mode="json")
    determining = {
        "seed": params.seed,
        "data": {"dataset": params.data.dataset, "digest": spec.dataset.digest},
        "model": content["model"],
        "training": content["training"] | {"device": spec.device},
        "window": spec.window,
        **{key: value for key, value in content[spec.name].items() if key not in ("n_trials", "timeout")},
    }
    with tracking.parent_run(spec.name, identity or spec.identity, determining) as parent:
        yield parent
