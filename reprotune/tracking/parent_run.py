"""A parent run: of a study, or of the evaluation; and the runs nested in it.

MLflow's store is a view of what the journals and results hold: runs are written in order, an interrupted one is
written again, one that says the same is left alone.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprotune.artifacts import digest, flat
from reprotune.environment import git
from reprotune.tracking import model, project, store, trial_run, view
from reprotune.tracking.store import NOTE
from reprotune.tracking.trial_run import milliseconds

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from optuna import Study

    from reprotune.data.stored import StoredDataset
    from reprotune.search.study.spec import StudySpec
    from reprotune.search.study.trials import Trial

Files = Iterable[tuple[Path, str | None]]  # file, and the folder of the run's artifacts that it goes to
_DIGEST = 36  # characters, as many as MLflow takes of a dataset's
# The tags with the digests of the description and the name that we wrote last.
_DESCRIBED, _NAMED = "reprotune.note", "reprotune.name"


class ParentRun:
    """The MLflow run of a study or of the evaluation, and the runs nested in it."""

    def __init__(self, client: "MlflowClient", run: "Run") -> None:
        self._client = client
        self._run = run
        self._found = self._complete_runs()
        self._nested = {number: str(run.info.run_id) for number, run in self._found.items()}
        self._ended: int | None = run.info.end_time  # ms since 1970; None once it is to end anew
        self.failed = False
        self.whole = True

    @contextmanager
    def surviving(self) -> Iterator[None]:
        """A store that fails in the middle costs no trial: it is left alone from then on, and made up later."""
        try:
            with store.usable(OSError):  # as requests' errors are
                yield
        except store.Unusable as error:
            self.failed = True
            line = f"MLflow failed, the study goes on without it ({error}); `make tracking` logs the rest"
            print(line, file=sys.stderr)

    def end(self, status: str) -> None:
        if not self.failed:
            with self.surviving():
                self._client.set_terminated(self.id, status, self._ended)

    def _complete_runs(self) -> "dict[int, Run]":
        """Our nested runs by trial number; half-written ones are dropped. A person's stay as they are."""
        runs: dict[int, Run] = {}
        for run in store.nested(self._client, self._run.info.experiment_id, self.id):
            number = store.number(run)
            if number is None or number in runs:
                self._drop(run.info.run_id)
            else:
                runs[number] = run
        return runs

    def _drop(self, run_id: str) -> None:
        """Delete a run that tells of no trial of the study any more; one with a person's note is theirs from now on."""
        if trial_run.has_a_persons_note(self._client.get_run(run_id)):
            self._client.delete_tag(run_id, store.MARK)
        else:
            self._client.delete_run(run_id)

    @property
    def id(self) -> str:
        return str(self._run.info.run_id)

    def log_trial(self, spec: "StudySpec", study: "Study", trial: "Trial") -> None:
        """The nested run of a told trial, unless it is there."""
        found = self._found.pop(trial.number, None)
        if found and not trial_run.tells(found, trial):  # what failed because of the machine was trained again
            self._drop(self._nested.pop(trial.number))
        if trial.number not in self._nested:
            self._ended = None
            self._nested[trial.number] = trial_run.write(self._client, self._run, spec, study, trial)

    def log_config(self, number: int, name: str, config: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """A nested run of the evaluation: one winner, its hyperparameters and its scores."""
        import mlflow

        if number not in self._nested:
            self._ended = None
            tags = {"mlflow.parentRunId": self.id, "number": str(number), store.MARK: str(number)}
            with mlflow.start_run(run_name=name, tags=tags) as run:
                mlflow.log_params(dict(config))
            self._log_new(run.info.run_id, metrics)  # once it has ended: by them it is whole
            self._nested[number] = run.info.run_id

    def log_repeats(self, found: Mapping[int, Mapping[str, float]]) -> None:
        """Trial number → what its repeats say of it, as metrics of its run."""
        for number, metrics in found.items():
            self._log_new(self._nested[number], metrics)

    def keep_only(self, trials: int) -> None:
        """Drop the runs of trials beyond the study's number of trials, which may have been lowered."""
        for number in [number for number in self._nested if number >= trials]:
            self._drop(self._nested.pop(number))

    def log_series(self, series: Mapping[str, Sequence[float]], trials: "Sequence[Trial]") -> None:
        """Metrics with a value for each trial number. Those that are there are not logged again; one that has changed,
        as after `make retry`, stands beside what it was, which MLflow cannot delete.
        """
        times = [milliseconds(trial) for trial in trials]
        for name, values in series.items():
            known = {(point.step, point.value) for point in self._client.get_metric_history(self.id, name)}
            at = [point for point in enumerate(values) if point not in known]
            store.log(self._client, self.id, [(name, value, step, times[step]) for step, value in at])

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final values."""
        self._log_new(self.id, metrics)

    def _log_new(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """One that is already there is not logged again."""
        known = self._client.get_run(run_id).data.metrics
        new = {name: value for name, value in metrics.items() if known.get(name) != value}
        # MLflow shows the newest by its time, which may be later than now: a clock is set back.
        last = [
            point.timestamp for name in new.keys() & known for point in self._client.get_metric_history(run_id, name)
        ]
        now = max([int(time.time() * 1000), *(at + 1 for at in last)])
        store.log(self._client, run_id, [(name, value, 0, now) for name, value in new.items()])

    def log_tags(self, tags: Mapping[str, Any]) -> None:
        for key, value in tags.items():
            self._client.set_tag(self.id, key, value)

    def rename(self, title: str) -> None:
        """As its study is now, unless a person has called it something else."""
        run, title = self._client.get_run(self.id), _named(title)
        if digest(run.info.run_name) == run.data.tags.get(_NAMED) != digest(title):
            self._client.update_run(self.id, name=title)
            self._client.set_tag(self.id, _NAMED, digest(title))

    def log_dataset(self, dataset: "StoredDataset") -> None:
        """As MLflow's own input of the run, once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if not self._run.inputs.dataset_inputs:
            about = {"shape": dataset.shape, "classes": len(dataset.classes), **dataset.sizes}
            source = json.dumps({"uri": str(dataset.folder), "sha256": dataset.digest})
            given = Dataset(dataset.name, dataset.digest[:_DIGEST], "local", source, profile=json.dumps(about))
            used = InputTag("mlflow.data.context", "train, valid, test")
            self._client.log_inputs(self.id, [DatasetInput(given, [used])])

    def show(self, searched: Iterable[str]) -> None:
        """These hyperparameters in the experiment's table."""
        view.keep_up(self._client, self._run.info.experiment_id, searched)

    def describe(self, note: str) -> None:
        """Its description, unless a person has edited the one before."""
        from mlflow.entities import RunTag

        tags = self._client.get_run(self.id).data.tags
        if NOTE not in tags or digest(tags[NOTE]) == tags.get(_DESCRIBED):
            ours = {_DESCRIBED: digest(note), NOTE: note}
            self._client.log_batch(self.id, tags=[RunTag(name, value) for name, value in ours.items()])

    def link(self, number: int) -> str:
        """To the nested run of a trial, for a description."""
        return view.of_run(self._run.info.experiment_id, self._nested[number])

    def log_model(self, files: Sequence[Path], config: Mapping[str, Any]) -> str:
        """As a model of MLflow's own; its id. A server without models gets its files."""
        from mlflow.exceptions import MlflowException

        try:
            begun = model.begin(self._client, self._run, files, config)
        except MlflowException:
            self.log_files((file, "model") for file in files)
            return ""
        return model.finish(self._client, self._run, begun, files)

    def log_files(self, files: Files) -> None:
        _log_files(self._client, self.id, files)


@contextmanager
def parent_run(
    experiment: str,
    identity: str,
    params: Mapping[str, Any],
    title: str = "",
    dataset: "StoredDataset | None" = None,
) -> Iterator[ParentRun]:
    """The run of this identity in the experiment: the one that is there goes on, else a new one is made.

    title: what it is called, until a person calls it something else. dataset: what it was made with.
    """
    with store.usable(*store.MISTAKEN):
        parent = _begun(experiment, identity, params, title or experiment, dataset)
    status = "FAILED"
    try:
        with store.usable():
            yield parent
        status = "FINISHED" if parent.whole else "KILLED"
    except store.Unusable:
        parent.failed = True
        raise
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        parent.end(status)


def _named(title: str) -> str:
    """A DVC experiment's run has its name."""
    return ", ".join(filter(None, [title, os.environ.get("DVC_EXP_NAME")]))


def _begun(
    experiment: str, identity: str, params: Mapping[str, Any], title: str, dataset: "StoredDataset | None"
) -> ParentRun:
    import mlflow  # 2 s, while the workers start
    from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

    client, experiment_id = store.experiment(experiment)
    mlflow.set_experiment(experiment_id=experiment_id)
    tags = {
        store.MARK: store.key(identity),
        "study": identity[:12],
        "dvc_experiment": os.environ.get("DVC_EXP_NAME", ""),
        MLFLOW_GIT_COMMIT: git("rev-parse", "HEAD"),
        _NAMED: digest(_named(title)),
    }
    run = store.find(client, experiment_id, identity)
    run = run or client.create_run(experiment_id, run_name=_named(title), tags=tags)
    try:
        # Not `mlflow.start_run`: while a run is active, MLflow does not tell which one Optuna's callback made.
        client.update_run(run.info.run_id, status="RUNNING")
        if store.shared():
            client.set_tag(run.info.run_id, "project", project.place())
        # MLflow refuses to change one.
        store.log(client, run.info.run_id, (), {key: v for key, v in flat(params) if key not in run.data.params})
        parent = ParentRun(client, run)
        parent.rename(title)
        if dataset:
            parent.log_dataset(dataset)
    except KeyboardInterrupt:
        client.set_terminated(run.info.run_id, "KILLED", run.info.end_time)
        raise
    return parent


def add_files(experiment: str, identity: str, files: Files) -> None:
    """Give files to the run of this identity, if the store has it."""
    with store.usable(*store.MISTAKEN):
        client, experiment_id = store.experiment(experiment)
        if run := store.find(client, experiment_id, identity):
            _log_files(client, run.info.run_id, files)


def _log_files(client: "MlflowClient", run_id: str, files: Files) -> None:
    with store.usable(OSError):  # as a disk's errors are, and a server's
        for path, below in files:
            client.log_artifact(run_id, str(path), below)
