"""What MLflow's page of a study says."""

from pathlib import Path

import pytest
from conftest import InlineExecutor, make_params
from mlflow import MlflowClient

from reprotune.artifacts import read_csv, read_yaml
from reprotune.data.stored import StoredDataset
from reprotune.pipeline import run_study
from reprotune.search import spec as specs
from reprotune.tracking import parent_run


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_a_study_describes_itself(dataset: StoredDataset, repository: Path, name: str) -> None:
    declared = specs.from_params(make_params(), name, dataset)
    run_study.run_study(declared, InlineExecutor(), anew=False)
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    assert experiment.tags[parent_run.NOTE].startswith("Studies that")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.n_trials = '12'")
    note = parent.data.tags[parent_run.NOTE]
    states = [row["state"] for row in read_csv(declared.folder / "trials.csv")]
    assert note.startswith(
        f"12 trials: {states.count('COMPLETE')} complete, {states.count('PRUNED')} pruned, 0 failed."
    )
    if name == "single_objective":
        best = read_yaml(declared.folder / "best_config.yaml")
        assert f"Best: trial {best['number']}, validation accuracy {best['accuracy']:.4f}." in note
        assert f"- optimizer: {best['params']['optimizer']}" in note
    else:
        for row in read_csv(declared.folder / "pareto_front.csv"):
            assert f"| {row['number']} | {int(row['flops']):,} | {float(row['accuracy']):.4f} |" in note
