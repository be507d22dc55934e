"""What MLflow's page of a study says."""

import json
import re
from pathlib import Path

import pytest
from conftest import InlineExecutor, make_params
from mlflow import MlflowClient
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH
from optuna.trial import create_trial

from reprotune.artifacts import read_csv, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.pipeline import run_study
from reprotune.results.scores import on_valid
from reprotune.search.study import declaration
from reprotune.search.study.trials import Trial
from reprotune.search.trial import Result
from reprotune.tracking import store, view
from reprotune.tracking.description import of_evaluation, of_study
from reprotune.tracking.parent_run import parent_run
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_a_study_describes_itself(dataset: StoredDataset, repository: Path, name: str) -> None:
    declared = declaration.from_params(make_params(), name, dataset)
    run_study.run_study(declared, InlineExecutor(), anew=False)
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    assert experiment.tags[store.NOTE].startswith("Studies that")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.n_trials = '12'")
    note = parent.data.tags[store.NOTE]
    states = [row["state"] for row in read_csv(declared.folder / "trials.csv")]
    assert note.startswith(
        f"12 trials: {states.count('COMPLETE')} complete, {states.count('PRUNED')} pruned, 0 failed."
    )
    if name == "single_objective":
        best = read_yaml(declared.folder / "best_config.yaml")
        assert f"Best: trial {best['number']}, validation accuracy {on_valid(best)}." in note
        assert f"- optimizer: {best['params']['optimizer']}" in note
    else:
        for row in read_csv(declared.folder / "pareto_front.csv"):
            score = on_valid({name: float(cell) for name, cell in row.items() if name.startswith("accuracy") and cell})
            link = re.escape(f"| [{row['number']}](") + f"#/experiments/{experiment.experiment_id}/runs/(.+)[?].+"
            found = re.search(link + re.escape(f") | {int(row['flops']):,} | {score} |"), note)
            assert found
            assert client.get_run(found[1]).data.tags["number"] == row["number"]
    state = json.loads(json.loads(experiment.tags[view.TAG])["state"])
    assert state["orderByKey"] == "metrics.`accuracy`" == state["selectedColumns"][0]
    params = {column for column in state["selectedColumns"] if column.startswith("params.")}
    assert params >= {"params.`layers`", "params.`width_1`", "params.`lr`"}
    assert "params.`batch_size`" not in params  # which is fixed


def test_a_long_front_is_told_in_part(dataset: StoredDataset) -> None:
    """MLflow would cut the description, and what is cut is taken for a person's from then on."""
    declared = declaration.from_params(make_params(), "multi_objective", dataset)
    trials = []
    for number in range(100):
        accuracy, flops = 0.5 + number / 1000, 1_000_000_000 + number
        result = Result("COMPLETE", (Epoch(1.0, 1.0, accuracy),), Cost(flops, flops // 2, 1))
        optuna = create_trial(values=[flops, accuracy])
        trials.append(Trial(number, {}, result, 0.0, optuna, (result,)))
    note = of_study(declared, trials, lambda number: view.of_run("9" * 18, f"{number:032}"))
    assert len(note) < MAX_TAG_VAL_LENGTH
    assert re.findall(r"^\| \[(\d+)\]", note, re.MULTILINE) == [str(number) for number in range(60, 100)]
    assert "\n60 more at the cheaper end: pareto_front.csv.\n" in note


def test_a_view_that_a_person_has_changed_stays(repository: Path) -> None:
    with parent_run("single_objective", "same", {}) as parent:
        parent.show(["lr"])
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("single_objective")
    assert experiment is not None
    ours = json.loads(experiment.tags[view.TAG])
    assert "params.`lr`" in ours["state"]
    theirs = json.dumps({**ours, "updatedAt": ours["updatedAt"] + 1, "state": "deflate;theirs"})
    client.set_experiment_tag(experiment.experiment_id, view.TAG, theirs)
    parent.show(["width"])
    assert client.get_experiment(experiment.experiment_id).tags[view.TAG] == theirs


def test_a_name_follows_the_study_until_a_person_renames_it(repository: Path) -> None:
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")

    def named(title: str) -> str:
        with parent_run("single_objective", "same", {}, title) as parent:
            pass
        return str(client.get_run(parent.id).info.run_name)

    assert named("10 trials") == "10 trials"
    with parent_run("single_objective", "same", {}, "20 trials") as parent:
        pass
    assert client.get_run(parent.id).info.run_name == "20 trials"
    client.update_run(parent.id, name="mine")
    assert named("30 trials") == "mine"


def test_a_study_has_its_dataset_as_an_input_once(dataset: StoredDataset, repository: Path) -> None:
    for _ in range(2):
        with parent_run("single_objective", "same", {}, dataset=dataset) as parent:
            pass
    (used,) = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}").get_run(parent.id).inputs.dataset_inputs
    assert used.dataset.name == dataset.name
    assert dataset.digest.startswith(used.dataset.digest)


def test_the_evaluation_describes_itself() -> None:
    scores = {
        "best": {"test_accuracy": {"mean": 0.9, "std": 0.01, "n": 5}, "flops": 2000, "parameters": 1000},
        "default": {"test_accuracy": {"mean": 0.8, "n": 1}, "flops": 10, "parameters": 5},
    }
    note = of_evaluation(scores, "#/runs/{}".format, "accuracy")
    assert "| [best](#/runs/0) | 0.9000 ± 0.0100 | 2,000 | 1,000 |" in note
    assert "| [default](#/runs/1) | 0.8000 | 10 | 5 |" in note
