"""MLflow is a view of the journal: one parent a study, one complete nested run a trial, however often it is written."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import InlineExecutor, Short, make_params
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import OperationalError
from tracked import fail, runs, track

from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.pipeline import retry, run_study
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.tracking import store, trial_run
from reprotune.tracking.parent_run import ParentRun, parent_run


def check(repository: Path, declared: StudySpec, trials: list[Trial]) -> None:
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    parents, nested = runs(repository, declared.name)
    assert [parent.info.status for parent in parents] == ["FINISHED"]
    assert sorted(nested) == [trial.number for trial in trials]
    status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    for trial in trials:
        run, result = nested[trial.number], trial.result
        assert run.info.status == status[result.state]
        state = "" if result.state == "COMPLETE" else f" {result.state.lower()}"
        assert run.info.run_name == f"{result.accuracy:.4f} #{trial.number}{state}"
        assert run.info.end_time - run.info.start_time == round(1000 * (result.seconds or 0))
        assert (store.NOTE in run.data.tags) == bool(result.reason)
        assert run.data.tags["state"] == result.state
        assert run.data.tags["study"] == declared.identity[:12]
        assert run.data.tags["reason"] == result.reason
        assert run.data.params == {name: str(value) for name, value in trial.config.items()}
        assert run.data.metrics["duration"] == result.seconds
        assert result.cost is not None
        assert {name: run.data.metrics[name] for name in result.cost._fields} == result.cost._asdict()
        for name in ("train_loss", "valid_loss", "valid_accuracy"):
            points = client.get_metric_history(run.info.run_id, name)
            assert [(p.step, p.value) for p in sorted(points, key=lambda p: p.step)] == [
                (epoch, getattr(point, name)) for epoch, point in enumerate(result.curve, start=1)
            ]
        (accuracy,) = client.get_metric_history(run.info.run_id, "accuracy")
        assert accuracy.value == result.accuracy


@pytest.mark.parametrize(("name", "n_trials"), [("single_objective", 14), ("multi_objective", 17)])
def test_a_study(dataset: StoredDataset, repository: Path, name: str, n_trials: int) -> None:
    declared = declaration.from_params(make_params(**{f"{name}__n_trials": n_trials}), name, dataset)
    trials = track(declared, repository)
    assert {trial.result.state for trial in trials} == {"COMPLETE", "PRUNED"}
    check(repository, declared, trials)
    ended = runs(repository, name)[0][0].info.end_time
    track(declared, repository)  # once more: nothing doubles, and it took no longer
    check(repository, declared, trials)
    assert runs(repository, name)[0][0].info.end_time == ended
    track(replace(declared, n_trials=n_trials + 1), repository)
    assert runs(repository, name)[0][0].info.end_time > ended


def test_a_study_grows_shrinks_and_survives_interruptions(dataset: StoredDataset, repository: Path) -> None:
    declared = declaration.from_params(make_params(), "multi_objective", dataset)
    for kill in (0, 2, 2, 5):
        with pytest.raises(KeyboardInterrupt):
            track(declared, repository, kill_after=kill)
    parents, _ = runs(repository, declared.name)
    assert [parent.info.status for parent in parents] == ["KILLED"]
    trials = track(replace(declared, n_trials=7), repository)
    check(repository, declared, trials)
    check(repository, declared, track(declared, repository))
    check(repository, declared, track(replace(declared, n_trials=4), repository))


def test_a_lost_store_is_made_again(dataset: StoredDataset, repository: Path) -> None:
    declared = declaration.from_params(make_params(), "single_objective", dataset)
    track(declared, repository)
    for path in repository.glob("mlflow.db*"):
        path.unlink()
    check(repository, declared, track(declared, repository))


def test_a_failed_trial(dataset: StoredDataset, repository: Path) -> None:
    space = {"lr": 1e30, "optimizer": "SGD"}
    params = make_params(single_objective__search_space=space, single_objective__n_trials=1)
    declared = declaration.from_params(params, "single_objective", dataset)
    track(declared, repository)
    _, nested = runs(repository, declared.name)
    assert nested[0].info.status == "FAILED"
    assert nested[0].data.tags["reason"].startswith("Diverged")


@pytest.mark.parametrize("forced", [True, False])
def test_what_failed_because_of_the_machine_is_replaced(dataset: StoredDataset, repository: Path, forced: bool) -> None:
    """And what was proposed in view of it, by a forced run or after `make retry`; no other run."""
    declared = declaration.from_params(make_params(), "single_objective", dataset)
    track(declared, repository, executor=Short(3))
    before = runs(repository, declared.name)[1]
    assert before[3].info.status == "FAILED"
    if forced:
        declared.journal.unlink()
    else:
        assert retry.forget_failures(declared) == [3]
    trials = track(declared, repository)
    after = runs(repository, declared.name)[1]
    assert {n: run.data.tags["state"] for n, run in after.items()} == {t.number: t.result.state for t in trials}
    assert {n: run.data.params for n, run in after.items()} == {
        trial.number: {name: str(value) for name, value in trial.config.items()} for trial in trials
    }
    assert trial_run.curves(declared, range(len(trials))) == {t.number: list(t.result.curve) for t in trials}
    assert [after[number].info.run_id == before[number].info.run_id for number in range(4)] == [True] * 3 + [False]


def test_a_parent_run_takes_more_params_than_mlflow_does_at_once(repository: Path) -> None:
    given = {"first": {str(number): {"lr": 0.1, "width_1": number} for number in range(120)}}
    with parent_run("single_objective", "of many configs", given):
        pass
    (parent,), _ = runs(repository, "single_objective")
    assert len(parent.data.params) == 240
    assert parent.data.params["first.119.width_1"] == "119"


def test_a_dvc_experiment_has_a_parent_of_its_own(
    dataset: StoredDataset, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = declaration.from_params(make_params(single_objective__n_trials=2), "single_objective", dataset)
    track(declared, repository)
    monkeypatch.setenv("DVC_EXP_NAME", "bold-fox")
    track(declared, repository)
    experiments = [parent.data.tags["dvc_experiment"] for parent in _parents(repository, declared.name)]
    assert sorted(experiments) == ["", "bold-fox"]


def _parents(repository: Path, name: str) -> list[Run]:
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return [r for r in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in r.data.tags]


def test_a_store_is_made_whole_or_not_at_all(
    dataset: StoredDataset, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill amid the migrations of a new database would leave one that never opens again."""
    (repository / "mlflow.db").unlink()
    declared = declaration.from_params(make_params(single_objective__n_trials=1), "single_objective", dataset)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "search_experiments", fail)
        with pytest.raises(KeyboardInterrupt):
            track(declared, repository)
    assert not (repository / "mlflow.db").exists()
    check(repository, declared, track(declared, repository))


@pytest.mark.parametrize("method", ["log_batch", "log_artifact", "set_tag"])
@pytest.mark.parametrize(
    "error", [MlflowException("gone\naway"), OperationalError("SELECT\n1", None, Exception("gone away"))]
)
def test_where_writing_to_mlflow_is_all_a_failure_is_one_line(
    method: str,
    error: Exception,
    dataset: StoredDataset,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In `make tracking`, which is recommended after a failure, and in the stage `report`."""

    def fails(*_: object, **__: object) -> None:
        raise error

    params = make_params(single_objective__n_trials=1)
    declared = declaration.from_params(params, "single_objective", dataset)
    run_study.run_study(declared, InlineExecutor(), anew=False)
    monkeypatch.setattr(MlflowClient, method, fails)
    with pytest.raises(UserError, match=r"^MLflow's store at sqlite:.* cannot be used: .*gone away") as told:
        run_study.backfill(declared)
    assert "\n" not in str(told.value)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("at", [(store, "log"), (ParentRun, "rename"), (ParentRun, "log_dataset")])
def test_ctrl_c_while_it_begins(repository: Path, dataset: StoredDataset, at: tuple[Any, str]) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*at, fail)
        with parent_run("evaluate", "same", {}, dataset=dataset):
            pass
    assert [run.info.status for run in runs(repository, "evaluate")[0]] == ["KILLED"]


def test_a_metric_is_the_newest_also_when_the_clock_was_set_back(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for back, value in ((0, 2.0), (3600, 1.0), (3600, 3.0)):
        monkeypatch.setattr(time, "time", lambda back=back: now - back)
        with parent_run("evaluate", "same", {}) as parent:
            parent.log_metrics({"trials": value})
        assert runs(repository, "evaluate")[0][0].data.metrics == {"trials": value}


def test_any_name_that_dvc_allows_an_experiment(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", 'it\'s "new"')
    for _ in range(2):
        with parent_run("evaluate", "same", {}):
            pass
    (parent,) = runs(repository, "evaluate")[0]
    assert parent.info.run_name == 'evaluate, it\'s "new"'


def test_a_winners_run_that_a_kill_left_without_its_end_is_written_again(repository: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(MlflowClient, "set_terminated", fail)
        with parent_run("evaluate", "same", {}) as parent:
            parent.log_config(0, "best", {"lr": 0.1}, {"test_accuracy_mean": 0.5})
    with parent_run("evaluate", "same", {}) as parent:
        parent.log_config(0, "best", {"lr": 0.1}, {"test_accuracy_mean": 0.5})
    _, nested = runs(repository, "evaluate")
    assert nested[0].info.status == "FINISHED"
    assert nested[0].data.metrics == {"test_accuracy_mean": 0.5}
