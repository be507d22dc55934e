"""What a person adds in MLflow's page or by its client stays, whatever happens to the runs around it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import InlineExecutor, make_params
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from tracked import track

from reprotune.data.stored import StoredDataset
from reprotune.pipeline import run_study
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.tracking import trial_run
from reprotune.tracking.parent_run import parent_run
from reprotune.tracking.store import MARK, NOTE

NESTED: Mapping[str, Mapping[str, str]] = {
    "without tags": {},
    "with a trial's number": {"number": "1"},
    "with a number of its own": {"number": "one"},
    "beyond the study": {"number": "99"},
}


@pytest.fixture
def client(repository: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")


@pytest.fixture
def declared(dataset: StoredDataset) -> StudySpec:
    return declaration.from_params(make_params(single_objective__n_trials=3), "single_objective", dataset)


def runs(client: MlflowClient, name: str = "single_objective") -> list[Run]:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY))


def parent_of(client: MlflowClient) -> Run:
    return next(run for run in runs(client) if "study" in run.data.tags and "mlflow.parentRunId" not in run.data.tags)


@pytest.mark.parametrize("tags", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("running", [True, False])
def test_a_run(
    tags: Mapping[str, str], running: bool, declared: StudySpec, repository: Path, client: MlflowClient
) -> None:
    trials = track(declared, repository)
    parent = parent_of(client).info
    added = [
        client.create_run(parent.experiment_id, tags=dict(tags)).info.run_id,
        client.create_run(parent.experiment_id, tags={"mlflow.parentRunId": parent.run_id, **tags}).info.run_id,
    ]
    for run_id in () if running else added:
        client.set_terminated(run_id)
    before = {run.info.run_id for run in runs(client)}
    track(declared, repository)
    assert {run.info.run_id for run in runs(client)} == before >= set(added)
    assert len(before) == 1 + len(trials) + len(added)
    expected = {trial.number: list(trial.result.curve) for trial in trials}
    assert trial_run.curves(declared, list(expected)) == expected


def test_notes_and_tags(declared: StudySpec, repository: Path, client: MlflowClient) -> None:
    def conduct() -> None:
        run_study.run_study(declared, InlineExecutor(), anew=False)

    conduct()
    parent = parent_of(client).info
    client.set_experiment_tag(parent.experiment_id, NOTE, "our last try")
    written = [run.info.run_id for run in runs(client)]
    for run_id in written:  # the last trial's too
        client.set_tag(run_id, NOTE, f"look at {run_id}")
        client.set_tag(run_id, "seen", "yes")
    conduct()
    experiment = client.get_experiment(parent.experiment_id)
    assert experiment.tags[NOTE] == "our last try"
    assert sorted(run.info.run_id for run in runs(client)) == sorted(written)
    for run in runs(client):
        assert run.data.tags[NOTE] == f"look at {run.info.run_id}"
        assert run.data.tags["seen"] == "yes"


def test_a_note_on_a_trial_that_is_no_longer_one_of_the_study(
    declared: StudySpec, repository: Path, client: MlflowClient
) -> None:
    """The run with it is the person's from then on; another is written if the trial is one again."""
    track(replace(declared, n_trials=5), repository)
    (noted,) = (run.info.run_id for run in runs(client) if run.data.tags.get(MARK) == "4")
    client.set_tag(noted, NOTE, "look at this")
    for n_trials in (3, 5, 3):
        track(replace(declared, n_trials=n_trials), repository)
        nested = {run.info.run_id: run.data.tags for run in runs(client) if "mlflow.parentRunId" in run.data.tags}
        assert nested.pop(noted)[NOTE] == "look at this"
        assert sorted(tags[MARK] for tags in nested.values()) == [str(number) for number in range(n_trials)]


@pytest.mark.parametrize("edited", ["mine", "", None])
def test_a_description_is_kept_up_until_it_is_edited(
    edited: str | None, repository: Path, client: MlflowClient
) -> None:
    def describe(note: str) -> str:
        with parent_run("single_objective", "same", {}) as parent:
            parent.describe(note)
        return str(client.get_run(parent.id).data.tags[NOTE])

    assert describe("3 trials") == "3 trials"
    assert describe("4 trials") == "4 trials"
    if edited is not None:
        client.set_tag(parent_of(client).info.run_id, NOTE, edited)
    assert describe("5 trials") == ("5 trials" if edited is None else edited)


def test_the_evaluations_runs_are_written_once(repository: Path, client: MlflowClient) -> None:
    for _ in range(2):
        with parent_run("evaluate", "same", {}) as parent:
            parent.log_config(0, "best", {"lr": 1}, {"accuracy": 0.5})
        ids = {run.info.run_id for run in runs(client, "evaluate")}
        assert len(ids) == 2
    assert ids == {run.info.run_id for run in runs(client, "evaluate")}
