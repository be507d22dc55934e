"""What a cost can depend on."""

from typing import Any

import pytest
from conftest import SPACE, make_params, run

from reprotune.data.stored import StoredDataset
from reprotune.results.importances import deciding, of_study
from reprotune.search import spec as specs

CNN: dict[str, Any] = {
    "model": "cnn",
    "blocks": {"type": "int", "low": 1, "high": 2},
    "channels": {"type": "int", "low": 2, "high": 4},
    "kernel": {"type": "categorical", "choices": [1, 3]},
    "pooling": {"type": "categorical", "choices": ["flatten", "average"]},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "categorical", "choices": [1, 64]},
}
BOTH = {**SPACE, **CNN, "model": {"type": "categorical", "choices": ["mlp", "cnn"]}}
OF_MLP, OF_CNN = {"layers", "width_1", "width_2"}, {"blocks", "channels_1", "channels_2", "kernel", "pooling"}


@pytest.mark.parametrize(
    ("space", "expected"), [(SPACE, OF_MLP), (CNN, OF_CNN), (BOTH, {"model", *OF_MLP, *OF_CNN}), ({}, set[str]())]
)
@pytest.mark.parametrize("cost", ["flops", "parameters"])
def test_a_cost_depends_on_what_changes_it_alone(
    dataset: StoredDataset, space: dict[str, Any], expected: set[str], cost: Any
) -> None:
    params = make_params(multi_objective__search_space=space, multi_objective__minimize=cost)
    assert deciding(specs.from_params(params, "multi_objective", dataset), cost) == expected


def test_the_importances_of_a_cost_name_nothing_else(dataset: StoredDataset, tmp_path: Any) -> None:
    declared = specs.from_params(make_params(multi_objective__pruner="none"), "multi_objective", dataset)
    trials = run(declared, tmp_path)
    assert set(of_study(declared, trials, "flops")) == OF_MLP
    assert {"lr", "optimizer", *OF_MLP} <= set(of_study(declared, trials, "accuracy"))
