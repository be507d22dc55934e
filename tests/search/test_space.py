from typing import Any

import optuna
import pytest
from conftest import ROOT, make_params

from reprotune.data.stored import StoredDataset
from reprotune.params import Categorical, FloatRange, IntRange
from reprotune.search import space as spaces
from reprotune.search.study import declaration
from reprotune.training import hyperparameters
from reprotune.training.cost import measure
from reprotune.training.hyperparameters import HYPERPARAMETERS
from reprotune.training.models import meta_model
from reprotune.training.optimizers import OPTIMIZERS

BOTH: spaces.Space = {
    "model": Categorical(type="categorical", choices=("mlp", "cnn")),
    "layers": IntRange(type="int", low=1, high=3),
    "width": IntRange(type="int", low=4, high=8, step=2),
    "channels": 5,
    "lr": FloatRange(type="float", low=1e-3, high=1e-1, log=True),
}

NEUTRAL = {name: make_params().training.hyperparameters[name] for name in HYPERPARAMETERS}


def suggested(space: spaces.Space, n: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [dict(spaces.suggest(study.ask(), space)) for _ in range(n)]


def test_only_the_chosen_models_parts_are_suggested() -> None:
    space = spaces.complete(make_params(), BOTH, "single_objective")
    configs = suggested(space, 40)
    training = {"model", *HYPERPARAMETERS}  # the default optimizer has none of its own
    assert {config["model"] for config in configs} == {"mlp", "cnn"}
    assert {config.get("layers") for config in configs if config["model"] == "mlp"} == {1, 2, 3}
    for config in configs:
        layers = config["layers" if config["model"] == "mlp" else "blocks"]
        own = ("width", "dropout") if config["model"] == "mlp" else ("channels", "dropout")
        numbered = {f"{name}_{layer}" for name in own for layer in range(1, layers + 1)}
        count = {"layers"} if config["model"] == "mlp" else {"blocks", "kernel", "pooling"}
        assert set(config) == training | numbered | count
        assert all(config[f"channels_{i}"] == 5 for i in range(1, layers + 1) if config["model"] == "cnn")
        assert spaces.contains(space, config)
        assert set(config) <= set(spaces.names(space))


@pytest.mark.parametrize(
    ("change", "inside"),
    [
        ({"width_1": 6}, True),
        ({"width_1": 5}, False),  # off the step
        ({"width_1": 10}, False),
        ({"lr": 0.1}, True),
        ({"lr": 0.2}, False),
        ({"optimizer": "SGD"}, False),  # fixed by the defaults to Adam
        ({"layers": 2}, False),  # lacks width_2
        ({"width_2": 6}, False),  # has a layer too many
        ({"model": "cnn"}, False),
        ({"momentum": 0.0}, False),  # Adam has none
        ({"flip": True}, False),
    ],
)
def test_contains(change: dict[str, Any], inside: bool) -> None:
    space = spaces.complete(make_params(), BOTH, "single_objective")
    config = NEUTRAL | {"model": "mlp", "layers": 1, "width_1": 4, "dropout_1": 0.2, "lr": 0.01}
    assert spaces.contains(space, config)
    assert spaces.contains(space, config | change) is inside


def test_the_reference_names_every_hyperparameter() -> None:
    table = (ROOT / "docs/reference.md").read_text().split("What can be searched")[1].split("\n#")[0]
    assert {name for name in hyperparameters.LEGAL if f"`{name}`" not in table} == set()


def test_the_default_config_has_a_value_for_each_layer() -> None:
    config = spaces.default_config(make_params())
    model = {"model": "mlp", "layers": 2, "width_1": 64, "width_2": 64, "dropout_1": 0.2, "dropout_2": 0.2}
    assert config == model | NEUTRAL


def test_largest_is_the_highest_of_everything() -> None:
    space = spaces.complete(make_params(), BOTH, "single_objective")
    *mlps, cnn = spaces.largest(space)
    assert [mlp["layers"] for mlp in mlps] == [1, 2, 3]
    assert (mlps[2]["width_3"], mlps[2]["lr"]) == (8, 0.1)
    assert (cnn["blocks"], cnn["channels_2"]) == (2, 5)


def test_one_layer_can_have_a_declaration_of_its_own() -> None:
    first = IntRange(type="int", low=20, high=30)
    space = spaces.complete(make_params(), {**BOTH, "width_1": first, "dropout_3": 0.1}, "single_objective")
    configs = [config for config in suggested(space, 60) if config["model"] == "mlp"]
    assert {config["width_1"] for config in configs} <= set(range(20, 31))
    assert {config[f"width_{n}"] for config in configs for n in (2, 3) if n <= config["layers"]} == {4, 6, 8}
    assert {(config["dropout_2"], config["dropout_3"]) for config in configs if config["layers"] == 3} == {(0.2, 0.1)}
    assert all(spaces.contains(space, config) for config in configs)
    mlp = list(spaces.largest(space))[2]
    assert (mlp["width_1"], mlp["width_2"]) == (30, 8)


def test_an_optimizers_own_hyperparameters_are_suggested_with_it_alone() -> None:
    momentum = FloatRange(type="float", low=0.5, high=0.9)
    optimizer = Categorical(type="categorical", choices=tuple(OPTIMIZERS))
    space = spaces.complete(make_params(), {"optimizer": optimizer, "momentum": momentum}, "single_objective")
    configs = suggested(space, 40)
    assert {config["optimizer"] for config in configs} == set(OPTIMIZERS)
    for config in configs:
        assert ("momentum" in config) == (config["optimizer"] in ("RMSprop", "SGD"))
        assert spaces.contains(space, config)
        assert spaces.parse(space, {name: str(value) for name, value in config.items()}) == config
    assert "momentum" in spaces.names(space)


def test_largest_is_of_every_choice_of_words() -> None:
    pooling = Categorical(type="categorical", choices=("average", "flatten"))
    kernel = IntRange(type="int", low=1, high=5, step=2)
    blocks = IntRange(type="int", low=1, high=2)
    declared = {**BOTH, "blocks": blocks, "pooling": pooling, "kernel": kernel}
    space = spaces.complete(make_params(), declared, "single_objective")
    configs = [config for config in spaces.largest(space) if config["model"] == "cnn"]
    expected = [(depth, name, 5) for depth in (1, 2) for name in ("average", "flatten")]
    assert [(config["blocks"], config["pooling"], config["kernel"]) for config in configs] == expected


def test_a_fixed_value_is_recorded_like_a_searched_one() -> None:
    study = optuna.create_study()
    trial = study.ask()
    config = spaces.suggest(trial, spaces.complete(make_params(), {"epochs": 7}, "single_objective"))
    assert config["epochs"] == 7
    assert trial.params == config


@pytest.mark.parametrize("minimize", ["flops", "parameters"])
def test_no_config_costs_more_than_the_reference_point(dataset: StoredDataset, minimize: str) -> None:
    """A cnn that flattens its last images has the more parameters the fewer blocks make them smaller."""
    space = {
        "model": "cnn",
        "blocks": {"type": "int", "low": 1, "high": 3},
        "channels": 2,
        "pooling": {"type": "categorical", "choices": ["flatten", "average"]},
    }
    params = make_params(multi_objective__minimize=minimize, multi_objective__search_space=space)
    declared = declaration.from_params(params, "multi_objective", dataset)
    models = (meta_model(config, dataset.inputs) for config in suggested(declared.space, 60))
    costs = [getattr(measure(model, dataset.shape), minimize) for model in models]
    assert max(costs) <= declared.reference_point[0]
    smallest = (meta_model(config, dataset.inputs) for config in spaces.smallest(declared.space))
    assert min(getattr(measure(model, dataset.shape), minimize) for model in smallest) == min(costs)
