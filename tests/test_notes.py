"""What MLflow's page of a study says."""

from pathlib import Path

import pytest
from conftest import InlineExecutor, make_params
from mlflow import MlflowClient

from reprotune import session, tracking
from reprotune import spec as specs
from reprotune.artifacts import read_csv, read_yaml
from reprotune.datasets import StoredDataset


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_a_study_describes_itself(dataset: StoredDataset, repository: Path, name: str) -> None:
    declared = specs.of(make_params(), name, dataset)
    session.conduct(declared, make_params(), InlineExecutor(), anew=False)
    client = MlflowClient(f"sqlite:///{repository / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    assert experiment.tags[tracking.NOTE].startswith("Studies that")
    (parent,) = client.search_runs([experiment.experiment_id], "tags.n_trials = '12'")
    note = parent.data.tags[tracking.NOTE]
    states = [row["state"] for row in read_csv(session.folder(declared) / "trials.csv")]
    assert note.startswith(
        f"12 trials: {states.count('COMPLETE')} complete, {states.count('PRUNED')} pruned, 0 failed."
    )
    if name == "single_objective":
        best = read_yaml(session.folder(declared) / "best_config.yaml")
        assert f"Best: trial {best['number']}, validation accuracy {best['accuracy']:.4f}." in note
        assert f"- optimizer: {best['params']['optimizer']}" in note
    else:
        for row in read_csv(session.folder(declared) / "pareto_front.csv"):
            assert f"| {row['number']} | {int(row['flops']):,} | {float(row['accuracy']):.4f} |" in note
