"""What a cost can depend on."""

from contextlib import suppress
from typing import Any

import pytest
from conftest import SPACE, make_params, run

from reprotune.data.stored import StoredDataset
from reprotune.results.importances import deciding, declared, of_study
from reprotune.search.space import Space, largest, values
from reprotune.search.study import declaration
from reprotune.training.cost import cost_of

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


def measured(space: Space, dataset: StoredDataset, cost: str) -> set[str]:
    """Those whose change alone, in one of the space's largest models, changes the cost."""
    found, every = set[str](), dict[str, Any]()
    for config in largest(space):
        every |= config  # the last has the most layers
    for model in values(space["model"]):
        base = {**every, "model": model}
        for name in sorted(every):
            for value in set(values(declared(space, name))) - {base[name]}:
                with suppress(ValueError):  # it cannot be built
                    changed, unchanged = (cost_of(config, dataset.inputs) for config in ({**base, name: value}, base))
                    if getattr(changed, cost) != getattr(unchanged, cost):
                        found.add(name)
    return found


@pytest.mark.parametrize(
    ("space", "expected"), [(SPACE, OF_MLP), (CNN, OF_CNN), (BOTH, {"model", *OF_MLP, *OF_CNN}), ({}, set[str]())]
)
@pytest.mark.parametrize("cost", ["flops", "parameters"])
def test_a_cost_depends_on_what_changes_it_alone(
    dataset: StoredDataset, space: dict[str, Any], expected: set[str], cost: Any
) -> None:
    params = make_params(multi_objective__search_space=space, multi_objective__minimize=cost)
    searched = declaration.from_params(params, "multi_objective", dataset).space
    assert deciding(searched) == measured(searched, dataset, cost) == expected


def test_the_importances_of_a_cost_name_nothing_else(dataset: StoredDataset, tmp_path: Any) -> None:
    study = declaration.from_params(make_params(multi_objective__pruner="none"), "multi_objective", dataset)
    trials = run(study, tmp_path)
    assert set(of_study(study, trials, "flops")) == OF_MLP
    assert {"lr", "optimizer", *OF_MLP} <= set(of_study(study, trials, "accuracy"))
