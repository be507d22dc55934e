"""A study's identity, and its limits."""

from dataclasses import replace

import pytest
from conftest import ROOT
from contract import spec

from reprotune.data.stored import StoredDataset
from reprotune.params import Finalists
from reprotune.search.study.spec import _DECISIVE
from reprotune.search.trial import Result
from reprotune.training.cost import Caps, Cost
from reprotune.training.learning_curve import Epoch


def test_identity(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    base = spec(dataset)
    longer = [replace(base, n_trials=1), replace(base, timeout=9.0)]
    longer += [replace(base, max_epochs=1), replace(base, patience=1)]
    longer += [replace(base, finalists=Finalists(count=9, repeats=9))]
    others = [replace(base, seed=1), replace(base, window=2), replace(base, sampler="gp"), replace(base, first=({},))]
    others += [replace(base, pruner_settings={"n_warmup_steps": 1}), replace(base, pruner="none")]
    others += [replace(base, space={**base.space, "lr": 0.1}), replace(base, objectives=("flops", "accuracy"))]
    others += [replace(base, caps=Caps(max_flops=900)), replace(base, caps=Caps(max_parameters=900))]
    others += [replace(base, min_accuracy=0.5), replace(base, min_accuracy=0.6)]
    others += [replace(base, metric="balanced_accuracy")]
    assert {declared.identity for declared in longer} == {base.identity}
    assert len({declared.identity for declared in [base, *others]}) == len(others) + 1
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert replace(base).identity != base.identity


def test_what_decides_a_trial_is_named_and_what_does_not_is_named_here() -> None:
    library = ROOT / "reprotune"
    files = {path.relative_to(library).as_posix() for path in library.glob("search/**/[!_]*.py")}
    others = {f"search/study/{name}.py" for name in ("declaration", "journal", "preparation", "stopping")}
    assert files - set(_DECISIVE) == {"search/pareto.py", *others}
    assert all((library / name).exists() for name in _DECISIVE)


def test_a_pruned_trial_is_not_told_as_below_the_floor(dataset: StoredDataset) -> None:
    """What it would have reached is not known. One that is told as complete is, by its last accuracy."""
    declared = spec(dataset, "multi_objective", min_accuracy=0.75, max_flops=1000)
    pruned = Result("PRUNED", (Epoch(1.0, 1.0, 0.25),), Cost(500, 250, 50))
    assert declared.violations(pruned) == {"max_flops": -0.5}
    assert declared.violations(replace(pruned, state="COMPLETE")) == {"max_flops": -0.5, "min_accuracy": 0.5}
    assert declared.violations(Result("FAIL", (), None)) == {}
    assert not declared.feasible(pruned)
    assert not spec(dataset, "multi_objective").violations(pruned)


def test_the_reference_point_is_the_most_that_is_allowed_and_the_floor(dataset: StoredDataset) -> None:
    free = spec(dataset, "multi_objective").reference_point
    assert spec(dataset, "multi_objective", min_accuracy=0.5, max_flops=500).reference_point == (500.0, 0.5)
    assert spec(dataset, "multi_objective", max_flops=10**9, max_parameters=180).reference_point == free
