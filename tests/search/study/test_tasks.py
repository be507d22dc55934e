"""What a worker is given."""

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import facts, make_params, run
from contract import spec

from reprotune.data.images import Split
from reprotune.data.stored import StoredDataset
from reprotune.search.history import History
from reprotune.search.space import default_config
from reprotune.search.study.seeds import seeds
from reprotune.search.study.tasks import repeat_task, task
from reprotune.search.trial import run_trial


def test_the_metric_is_what_every_trial_is_scored_by(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 images of class 0 and 1 of class 1 in valid, by a model that knows class 0 alone."""
    labels = torch.tensor([0, 0, 0, 1])
    held = Split(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), labels)
    monkeypatch.setattr(StoredDataset, "load", lambda *_: held)
    monkeypatch.setattr(StoredDataset, "class_sizes", lambda *_: [3, 1])
    config = dict(default_config(make_params()), epochs=10, lr=0.1)
    for metric, accuracy, images in (("accuracy", 0.75, 4), ("balanced_accuracy", 0.5, 3)):
        declared = replace(spec(dataset), metric=metric)  # type: ignore[arg-type]
        given = (task(declared, 0, config, History()), repeat_task(declared, 0, config, 0))
        assert [run_trial(one).accuracy for one in given] == [accuracy, accuracy]
        assert declared.images == pytest.approx(images)


@pytest.mark.parametrize(
    ("name", "pruner", "same"),
    [
        ("single_objective", {"name": "median", "n_startup_trials": 5, "n_warmup_steps": 0}, "median"),
        ("single_objective", {"name": "percentile", "percentile": 25}, "percentile"),
        ("single_objective", {"name": "hyperband", "min_resource": 1, "max_resource": "auto"}, "hyperband"),
        ("multi_objective", {"name": "pareto", "margin": 0.02}, "pareto"),
    ],
)
def test_a_pruners_settings(
    name: str, pruner: dict[str, Any], same: str, dataset: StoredDataset, pools: dict[int, Executor], tmp_path: Path
) -> None:
    """The plain name has Optuna's, and is a mapping with nothing else; other settings come to the workers."""
    plain = spec(dataset, name, pruner=same, sampler="random")
    assert spec(dataset, name, pruner={"name": same}, sampler="random").identity == plain.identity
    trials = facts(run(plain, tmp_path))
    assert facts(run(spec(dataset, name, pruner=pruner, sampler="random"), tmp_path)) == trials
    late = {"min_resource": 4} if same == "hyperband" else {"n_warmup_steps": 4}
    waiting = spec(dataset, name, pruner={**pruner, **late}, sampler="random")
    assert waiting.identity != plain.identity
    waited = run(waiting, tmp_path, pools[3])
    assert all(trial.result.state == "COMPLETE" for trial in waited)
    assert any(trial[2] == "PRUNED" for trial in trials)


def test_seeds_are_all_different() -> None:
    """Those of the sampler, of the training, of both studies and of the evaluation."""
    names = ("single_objective", "multi_objective", "evaluate")
    pairs = [seeds(seed, name, number) for seed in range(20) for name in names for number in range(50)]
    assert len({value for pair in pairs for value in pair}) == 2 * 20 * 3 * 50
