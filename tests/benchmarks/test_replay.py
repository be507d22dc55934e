"""A replay saves and keeps what the study would have: random search proposes the same with any pruner."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_params, run

from benchmarks.replay import Recorded, replay
from reprotune.data.stored import StoredDataset
from reprotune.results import winners
from reprotune.search import pareto
from reprotune.search import spec as specs


@pytest.mark.parametrize("window", [1, 4])
def test_a_replay_is_what_the_study_would_be(dataset: StoredDataset, tmp_path: Path, window: int) -> None:
    params = make_params(multi_objective__sampler="random", multi_objective__n_trials=20)
    declared = replace(specs.from_params(params, "multi_objective", dataset), window=window)
    whole = run(replace(declared, pruner="none"), tmp_path)
    trials = [(winners.point(t)[0], tuple(point.valid_accuracy for point in t.result.curve)) for t in whole]
    reference = declared.reference_point
    saved, kept = replay("pareto, margin 0.02", Recorded(trials, reference[0]), window)

    pruned = run(declared, tmp_path)
    epochs, all_epochs = (sum(len(trial.result.curve) for trial in study) for study in (pruned, whole))
    volumes = [
        pareto.hypervolume([*map(winners.point, winners.complete(study))], reference) for study in (pruned, whole)
    ]
    assert saved == 1 - epochs / all_epochs > 0
    assert kept == volumes[0] / volumes[1]
