"""A study from start to end: its trials run, shown, tracked and written to its result files."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from reprotune.arithmetic import kernels
from reprotune.artifacts import read_json
from reprotune.data import stored
from reprotune.data.metric import unless_default
from reprotune.data.stored import StoredDataset
from reprotune.errors import counted
from reprotune.params import Params, Section, searched_by
from reprotune.pipeline import finalists
from reprotune.pipeline.progress import StudyProgress, display
from reprotune.results import best_so_far, read, winners, write
from reprotune.search.study import journal, window
from reprotune.search.study.declaration import check_params
from reprotune.search.study.preparation import prepare, resolve_device
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial, finished, told
from reprotune.tracking import description, store
from reprotune.tracking.parent_run import ParentRun, parent_run

if TYPE_CHECKING:
    from reprotune.execution.pool import Pool


def begin(params: Params, pool: "Pool") -> StoredDataset:
    """Check params, data and models before anything is trained; the dataset, which every worker is told of.

    Raises UserError.
    """
    check_params(params)
    dataset = stored.open_verified(params.data.dataset)
    store.load()  # as workers start
    prepare(params, dataset, pool)
    pool.share(dataset.shared_files, resolve_device(params.training.device))
    return dataset


def run_study(spec: StudySpec, executor: Executor, anew: bool) -> None:
    """Run the study, or what its journal lacks of it. `anew`: train a finished one again, from its first trial."""

    def discard(opened: journal.Journal) -> bool:
        trained = anew and finished(spec, opened)
        return trained and finalists.finished(spec, told(spec, opened), opened)

    kernels.warn_if_untried()
    if spec.adopt:
        print(f"adopts {counted(len(spec.adopted), 'trial')} from adopted/{spec.name}", flush=True)
    _tell_of_others(spec)
    with journal.opened(spec.journal, spec.directions, discard) as opened, ExitStack() as until_the_end:
        if kept := min(sum(trial.state.is_finished() for trial in opened.trials), spec.n_trials):
            print(f"{spec.journal}: has {kept} of {counted(spec.n_trials, 'trial')}, not trained again", flush=True)
        parent = cache(partial(until_the_end.enter_context, _tracked(spec)))
        _follow(spec, opened, executor, parent)


def _tell_of_others(spec: StudySpec) -> None:
    """A study that begins says which unfinished ones it does not continue."""
    if not spec.journal.exists():
        for path in sorted(spec.journal.parent.glob(f"{spec.name}-*.log")):
            if journal.unfinished(path):
                other = "holds an unfinished study of other params, data, code or arithmetic"
                print(f"{path}: {other}; it stays as it is, and a new study begins", flush=True)


def _follow(spec: StudySpec, opened: journal.Journal, executor: Executor, begun: Callable[[], ParentRun]) -> None:
    progress, trials = StudyProgress(spec), list[Trial]()
    with display() as show:
        # MLflow is imported and opened while the first trials are trained.
        for trial in window.run(spec, opened, executor, meanwhile=begun):
            trials.append(trial)
            progress.show(trial, show)
            if not begun().failed:
                with begun().surviving():
                    begun().log_trial(spec, opened.study, trial)
        trials = finalists.train(spec, trials, opened, executor, show)
    parent = begun()
    metrics = (write.write_multi_objective if spec.cost else write.write_single_objective)(spec.folder, spec, trials)
    if len(trials) < spec.n_trials:
        print(f"ended by {metrics['stopped_by']}, after {len(trials)} of {spec.n_trials} trials", flush=True)
    if not parent.failed:
        with parent.surviving():
            _log_whole(parent, spec, trials, metrics)


def backfill(spec: StudySpec) -> int:
    """Write what MLflow lacks of the study; how many trials it has.

    From its journal; from its result files where there is none, or where a forced run that was killed left less in it.
    """
    if spec.journal.exists():
        with journal.opened(spec.journal, spec.directions, lambda _: False) as opened:
            trials, recorded = finalists.with_repeats(spec, told(spec, opened), opened), _recorded(spec)
            is_whole = len(trials) == recorded and finalists.finished(spec, trials, opened)
            if is_whole or recorded is None or len(trials) > recorded:
                with _tracked(spec) as parent:
                    _log_all(parent, spec, opened.study, trials, is_whole)
                return len(trials)
    trials = read.read_trials(spec.folder, spec)
    with _tracked(spec, read_json(spec.folder / "study.json")["identity"]) as parent:
        _log_all(parent, spec, read.empty_study(spec), trials, True)
    return len(trials)


def _recorded(spec: StudySpec) -> int | None:
    """How many trials its result files hold; None if there are none, or another study's."""
    made_by, metrics = spec.folder / "study.json", spec.folder / "metrics.json"
    is_ours = made_by.exists() and metrics.exists() and read_json(made_by)["identity"] == spec.identity
    return int(read_json(metrics)["trials"]) if is_ours else None


def _log_all(parent: ParentRun, spec: StudySpec, optuna_study: Any, trials: list[Trial], is_whole: bool) -> None:
    for trial in trials:
        parent.log_trial(spec, optuna_study, trial)
    parent.whole = is_whole
    if is_whole:
        _log_whole(parent, spec, trials, read_json(spec.folder / "metrics.json"))


def _log_whole(parent: ParentRun, spec: StudySpec, trials: list[Trial], metrics: dict[str, Any]) -> None:
    parent.keep_only(len(trials))
    parent.rename(_title(spec, len(trials)))  # which may be fewer than were declared
    parent.log_repeats({trial.number: winners.on_valid(trial) for trial in trials if trial.repeats})
    parent.log_series(best_so_far.series(spec, trials), trials)
    parent.log_metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
    ends = {name: getattr(spec, name) for name in ("n_trials", "timeout", "max_epochs", "patience")}
    parent.log_tags({**ends, "stopped_by": metrics["stopped_by"], "dataset": spec.dataset.name})
    parent.describe(description.of_study(spec, trials, parent.link))
    parent.show(_searched(trials))
    parent.log_files((path, None) for path in sorted(spec.folder.glob("[!.]*.*")))  # the stage `report` adds figures
    parent.log_files((spec.dataset.folder / name, "dataset") for name in (stored.DESCRIPTION, stored.CLASS_BALANCE))


def _tracked(spec: StudySpec, identity: str = "") -> AbstractContextManager[ParentRun]:
    """The study's parent run. identity: of results that were made in another environment."""
    title = _title(spec, spec.n_trials)
    return parent_run(spec.name, identity or spec.identity, _determining(spec), title, spec.dataset)


def _title(spec: StudySpec, trials: int) -> str:
    return f"{spec.dataset.name}, {searched_by(spec.sampler, spec.pruner, spec.rung)}, {counted(trials, 'trial')}"


def _searched(trials: list[Trial]) -> list[str]:
    """The hyperparameters in which trials differ, also by having one or not."""
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    return [name for name in names if len({trial.config.get(name) for trial in trials}) > 1]


def _determining(spec: StudySpec) -> dict[str, Any]:
    """What the identity stands for. MLflow refuses to change a param, so nothing else of params.yaml is one."""
    space = {
        name: declared.model_dump(exclude_defaults=True) if isinstance(declared, Section) else declared
        for name, declared in spec.space.items()
    }
    return {
        "seed": spec.seed,
        "dataset": spec.dataset.digest,
        "device": spec.device,
        "window": spec.window,
        "sampler": spec.sampler,
        "pruner": spec.pruner,
        **{f"pruner.{name}": value for name, value in spec.pruner_settings.items()},
        **({"rung": spec.rung.model_dump()} if spec.rung else {}),
        **({"adopted": len(spec.adopted)} if spec.adopted else {}),
        **({"minimize": spec.cost} if spec.cost else {}),
        **spec.limits,
        **unless_default(spec.metric),
        "search_space": space,
        "first": {str(number): config for number, config in enumerate(spec.first)},
    }
