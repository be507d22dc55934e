from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from conftest import committed, make_params
from ruamel.yaml import YAML

from reprotune import inputs, params
from reprotune.errors import UserError
from reprotune.params import Params
from reprotune.search import space
from reprotune.search.study import declaration

TEXT = committed("params.yaml")
CONTENT = YAML(typ="safe").load(TEXT)
LR = "search_space.lr"
MAPPING = "a plain value, or a mapping whose type is int, float or categorical"


@pytest.fixture
def project(tmp_path: Path) -> Params:
    """The project's own."""
    (tmp_path / "project.yaml").write_text(TEXT)
    return params.load(tmp_path / "project.yaml")


def test_the_projects_params_are_accepted(project: Params) -> None:
    declaration.check_params(project)


# key, the value that replaces it, and what the one line must say of it
REFUSED = [
    ("execution", {"windw": 8}, "execution.windw = 8: unknown key; known here: engine, workers, window"),
    ("sede", 1, "unknown key; known here: seed, data, model"),
    ("seed", -1, "seed = -1: should be greater than or equal to 0"),
    ("seed", True, "seed = True: should be a valid integer"),
    ("seed", 1.5, "seed = 1.5: should be a valid integer"),
    ("single_objective.n_trials", 0, "single_objective.n_trials = 0: should be greater than or equal to 1"),
    ("single_objective.n_trials", "many", "single_objective.n_trials = 'many': should be a valid integer"),
    ("single_objective.timeout", -5, "single_objective.timeout = -5: should be greater than 0, or be null"),
    ("single_objective.timeout", float("nan"), "single_objective.timeout = nan: should be a finite number"),
    ("single_objective.max_epochs", 0, "single_objective.max_epochs = 0: should be greater than or equal to 1"),
    ("multi_objective.patience", 1.5, "multi_objective.patience = 1.5: should be a valid integer"),
    ("single_objective.finalists.count", -1, "single_objective.finalists.count = -1: should be greater than or equal"),
    ("multi_objective.finalists.repeats", 0, "multi_objective.finalists.repeats = 0: should be greater than or equal"),
    ("multi_objective.finalists", {"count": 5}, "multi_objective.finalists.repeats: is missing"),
    ("single_objective.finalists", 5, "single_objective.finalists = 5: should be a mapping"),
    ("data.images.group", "a{99999999999}", "must be a regular expression (the repetition number is too large"),
    (
        f"single_objective.{LR}",
        {"type": "float", "low": 0, "high": 1e30, "step": 0.1},
        "has more steps than can be counted",
    ),
    ("single_objective.trials", 5, "single_objective.trials = 5: unknown key; known here: n_trials, timeout"),
    (
        "single_objective.rung",
        {"epoch": 1, "margin": 0.05},
        "single_objective.rung.margin = 0.05: unknown key; known here: epoch, share, among",
    ),
    ("multi_objective.rung", {"share": 0.2}, "multi_objective.rung.share = 0.2: unknown key; known here: epoch, mar"),
    (f"single_objective.{LR}", {"type": "categorical", "choices": []}, "choices = []: the list should have at least 1"),
    ("single_objective.sampler", "tpx", "single_objective.sampler = 'tpx': must be one of tpe, random"),
    ("single_objective.pruner", "mean", "single_objective.pruner = 'mean': must be one of none, median"),
    ("multi_objective.sampler", "cmaes", "multi_objective.sampler = 'cmaes': must be one of tpe, random, nsga2, gp"),
    ("single_objective.pruner", "pareto", "single_objective.pruner = 'pareto': must be one of none, median"),
    ("multi_objective.pruner", "median", "multi_objective.pruner = 'median': must be one of none, pareto"),
    ("single_objective.pruner", 5, "single_objective.pruner = 5: should be a valid string, or be a mapping"),
    ("single_objective.pruner", {"n_warmup_steps": 2}, "single_objective.pruner.name = None: must be one of none, med"),
    ("single_objective.pruner", {"name": 5}, "single_objective.pruner.name = 5: must be one of none, median"),
    ("single_objective.pruner", {"name": "mean"}, "single_objective.pruner.name = 'mean': must be one of none, median"),
    ("multi_objective.pruner", {"name": "median"}, "multi_objective.pruner.name = 'median': must be one of none, par"),
    (
        "single_objective.pruner",
        {"name": "median", "n_warmup": 2},
        "single_objective.pruner.n_warmup = 2: unknown setting; known here: name, n_startup_trials, n_warmup_steps",
    ),
    (
        "single_objective.pruner",
        {"name": "median", "n_warmup_steps": -1},
        "steps = -1: should be greater than or equal",
    ),
    ("single_objective.pruner", {"name": "median", "n_warmup_steps": True}, "steps = True: should be a valid integer"),
    (
        "single_objective.pruner",
        {"name": "percentile", "percentile": 101},
        "= 101: should be less than or equal to 100",
    ),
    (
        "single_objective.pruner",
        {"name": "hyperband", "max_resource": "all"},
        "single_objective.pruner.max_resource = 'all': should be a valid integer, or be 'auto'",
    ),
    (
        "single_objective.pruner",
        {"name": "successive_halving", "bootstrap_count": 1},
        "bootstrap_count > 0 and min_resource == 'auto' are mutually incompatible",
    ),
    (
        "single_objective.pruner",
        {"name": "hyperband", "min_resource": 9, "max_resource": 5},
        "single_objective.pruner = {'max_resource': 5, 'min_resource': 9, 'name': 'hyperband'}: min_resource must",
    ),
    ("multi_objective.pruner", {"name": "pareto", "margin": 2}, "pruner.margin = 2: should be less than or equal to 1"),
    ("multi_objective.pruner", {"name": "none", "margin": 0.1}, "margin = 0.1: unknown setting; known here: name"),
    ("single_objective.first", 5, "single_objective.first = 5: should be a list"),
    ("single_objective.first", [5], "single_objective.first.0 = 5: should be a mapping"),
    ("single_objective.first", [{}, {"speed": 1}], "single_objective.first.1.speed = 1: unknown hyperparameter; known"),
    ("single_objective.first", [{"width": 0}], "single_objective.first.0.width = 0: should be greater than or equal"),
    ("single_objective.first", [{"width": 4.0}], "single_objective.first.0.width = 4.0: should be a valid integer"),
    (
        "single_objective.first",
        [{"width": 500}],
        "single_objective.first.0.width_1 = 500: outside of the search space: must be 4 to 128",
    ),
    ("single_objective.first", [{"optimizer": "AdamW"}], "outside of the search space: must be Adam or RMSprop or SGD"),
    ("single_objective.first", [{"normalise": True}], "normalise = True: outside of the search space: must be False"),
    ("single_objective.first", [{"momentum": 0.0}], "first.0.momentum = 0.0: this config has no such hyperparameter"),
    ("single_objective.first", [{"width_3": 8}], "first.0.width_3 = 8: this config has no such hyperparameter; it has"),
    ("multi_objective.first", [{"kernel": 3}], "multi_objective.first.0.kernel = 3: this config has no such hyperpar"),
    ("multi_objective.minimize", "loss", "multi_objective.minimize = 'loss': should be 'flops' or 'parameters'"),
    ("multi_objective.min_accuracy", 1.5, "min_accuracy = 1.5: should be less than 1, or be 'default'"),
    ("multi_objective.min_accuracy", 1, "min_accuracy = 1: should be less than 1, or be 'default'"),
    ("multi_objective.min_accuracy", -0.1, "min_accuracy = -0.1: should be greater than or equal to 0, or be"),
    (
        "multi_objective.min_accuracy",
        "best",
        "min_accuracy = 'best': should be a valid number, or be 'default', or be null",
    ),
    ("single_objective.min_accuracy", 0.5, "single_objective.min_accuracy = 0.5: unknown key; known here: n_trials"),
    ("single_objective.max_flops", 0, "single_objective.max_flops = 0: should be greater than or equal to 1"),
    ("multi_objective.max_flops", 1e5, "multi_objective.max_flops = 100000.0: should be a valid integer"),
    ("multi_objective.max_parameters", "few", "multi_objective.max_parameters = 'few': should be a valid integer"),
    ("execution.window", 0, "execution.window = 0: should be greater than or equal to 1"),
    ("execution.trial_timeout", 1e10, "trial_timeout = 10000000000.0: should be less than or equal to 1000000000"),
    ("execution.workers", "all", "execution.workers = 'all': should be a valid integer, or be 'auto'"),
    ("execution.workers", 0, "execution.workers = 0: should be greater than or equal to 1, or be 'auto'"),
    ("model.width", [1], "model.width = [1]: should be a valid boolean, or be a valid integer, or be"),
    ("training.lr", [1], "training.lr = [1]: should be a valid boolean, or be a valid integer, or be"),
    *(
        (f"single_objective.{LR}", declared, f"single_objective.{LR} = {declared!r}: {told}")
        for declared, told in (
            ([1], "a plain value, or {type: categorical, choices: [1]}"),
            ([True, 1e-5, "x"], "a plain value, or {type: categorical, choices: [true, 1e-05, x]}"),
            (None, "a plain value, or a mapping whose type is int, float or categorical"),
            ("0.001-0.1", "a plain value, or {type: float, low: 0.001, high: 0.1}"),
            ("1e-4 to 1e-1", "a plain value, or {type: float, low: 1e-4, high: 1e-1}"),
            ("5..15", "a plain value, or {type: int, low: 5, high: 15}"),
            ("0.01", "a number is written without quotes: 0.01"),
            ({"high": 3, "low": 1}, f"{MAPPING}, as {{type: int, low: 1, high: 3}}"),
            ({"high": 3.5, "low": 1, "type": "integer"}, f"{MAPPING}, as {{type: float, low: 1, high: 3.5}}"),
            ({"low": 1, "type": ["int"]}, MAPPING),
            ({"choices": [1, 2]}, f"{MAPPING}, as {{type: categorical, choices: [1, 2]}}"),
        )
    ),
    (f"single_objective.{LR}", {"type": "categorical", "choices": 5}, f"{LR}.choices = 5: should be a list"),
    (f"single_objective.{LR}", {"type": "float", "low": "0.1", "high": 1}, f"{LR}.low = '0.1': should be a valid numb"),
    (f"single_objective.{LR}", {"type": "categorical", "choices": [0.1, None]}, f"{LR}.choices.1 = None: should be a"),
    ("data.train_examples", 0, "data.train_examples = 0: should be greater than or equal to 1"),
    ("data.metric", "recall", "data.metric = 'recall': should be 'accuracy' or 'balanced_accuracy'"),
    ("data.images.size", [28], "data.images.size.1: is missing"),
    ("data.images.size", [28, 0], "data.images.size.1 = 0: should be greater than or equal to 1"),
    ("data.images.mode", "color", "data.images.mode = 'color': should be 'grey' or 'rgb'"),
    ("data.images.fit", "squash", "data.images.fit = 'squash': should be 'stretch', 'crop' or 'pad'"),
    ("data.images.colour", 1, "unknown key; known here: folder, size, mode, fit, range, group"),
    ("data.images.range", [4095, 0], "data.images.range = [4095, 0]: black must be below white"),
    ("data.images.range", [0], "data.images.range.1: is missing"),
    ("data.images.range", "12 bits", "data.images.range = '12 bits': should be a list"),
    ("data.images.group", "(", "data.images.group = '(': must be a regular expression"),
    ("evaluate.seeds", 0, "evaluate.seeds = 0"),
    ("model.model", "rnn", "model.model = 'rnn': should be 'mlp', 'mlp_bn', 'cnn' or 'resnet'"),
    ("model.width", 0, "model.width = 0: should be greater than or equal to 1"),
    ("model.layers", 10**9, "model.layers = 1000000000: should be less than or equal to 100"),
    ("model.depth", 3, "model.depth = 3: unknown hyperparameter; known: model, optimizer"),
    ("training.optimizer", "adam", "training.optimizer = 'adam': should be 'Adam', 'AdamW', 'RMSprop' or 'SGD'"),
    ("training.lr", 0.0, "training.lr = 0.0: should be greater than 0"),
    (f"single_objective.{LR}", {"type": "flat"}, "a plain value, or a mapping whose type is int, float or categorical"),
    (f"single_objective.{LR}", {"low": 1.0, "high": 2.0}, "a plain value, or a mapping whose type is"),
    (f"single_objective.{LR}", {"type": "float", "low": 1.0}, f"single_objective.{LR}.high: is missing"),
    (f"single_objective.{LR}", {"type": "float", "low": 2.0, "high": 1.0}, "low must not be above high"),
    (f"single_objective.{LR}", {"type": "float", "low": 0.0, "high": 1.0, "log": True}, "must have low above 0"),
    (f"single_objective.{LR}", {"type": "float", "low": 0.0, "high": 1.0}, f"{LR} = 0.0: should be greater than 0"),
    (f"single_objective.{LR}", {"type": "float", "low": 1.0, "high": float("inf")}, "should be a finite number"),
    ("single_objective.search_space.epochs", {"type": "int", "low": 1, "high": 10**19}, "should be less than or equal"),
    (f"single_objective.{LR}", {"type": "float", "low": 1, "high": 2, "step": 0}, "should be greater than 0"),
    (f"single_objective.{LR}", {"type": "float", "low": 1, "high": 2, "log": True, "step": 0.1}, "cannot have a step"),
    (f"single_objective.{LR}", {"type": "float", "low": 0.1, "high": 0.7, "step": 0.25}, "a whole number of steps"),
    (f"single_objective.{LR}", {"type": "float", "low": 1, "high": 2, "by": 1}, "unknown key; known here: type, low"),
    (
        f"single_objective.{LR}",
        {"type": "categorical", "low": 1, "high": 2, "log": True},
        "high, log, low: unknown key; known here: type, choices; missing: choices",
    ),
    (
        f"single_objective.{LR}",
        {"type": "int", "choices": [1]},
        "choices: unknown key; known here: type, low, high, lo",
    ),
    ("single_objective.search_space.epochs", {"type": "int", "low": 1.5, "high": 2}, "should be a valid integer"),
    ("single_objective.search_space.epochs", {"type": "int", "low": 0, "high": 2}, "epochs = 0: should be greater"),
    ("single_objective.search_space.dropout", 1.0, "dropout = 1.0: should be less than 1"),
    ("single_objective.search_space.optimizer", {"type": "categorical", "choices": []}, "at least 1 item"),
    ("single_objective.search_space.optimizer", {"type": "categorical", "choices": ["SGD", "SGD"]}, "must differ"),
    ("single_objective.search_space.optimizer", {"type": "categorical", "choices": ["Lion"]}, "'Adam', 'AdamW', 'RMSp"),
    ("training.device", "gpu", "training.device = 'gpu': should be 'cpu', 'cuda' or 'auto'"),
    ("training.momentum", 1.0, "training.momentum = 1.0: should be less than 1"),
    ("training.weight_decay", -0.1, "training.weight_decay = -0.1: should be greater than or equal to 0"),
    ("training.label_smoothing", 1, "training.label_smoothing = 1: should be less than 1"),
    ("training.schedule", "linear", "training.schedule = 'linear': should be 'constant', 'cosine' or 'one_cycle'"),
    ("training.shift", -1, "training.shift = -1: should be greater than or equal to 0"),
    ("training.flip", 1, "training.flip = 1: should be a valid boolean"),
    ("training.cutout", 0.5, "training.cutout = 0.5: should be a valid integer"),
    ("model.kernel", 4, "model.kernel = 4: should be 1, 3, 5, 7, 9 or 11"),
    ("model.pooling", "max", "model.pooling = 'max': should be 'flatten' or 'average'"),
    ("single_objective.search_space.device", "cuda", "unknown hyperparameter; known: model"),
    ("single_objective.search_space.kernel", {"type": "int", "low": 3, "high": 7}, "kernel = 4: should be 1, 3"),
    ("single_objective.search_space.kernel", {"type": "int", "low": 2, "high": 8, "step": 2}, "kernel = 2: should be"),
    ("single_objective.search_space.width_1", 0, "width_1 = 0: should be greater"),
    ("single_objective.search_space.width_0", 8, "unknown hyperparameter; known: model"),
    ("single_objective.search_space.lr_1", 0.1, "unknown hyperparameter; known: model"),
    ("model.channels_2", 1.5, "model.channels_2 = 1.5: should be a valid integer"),
    ("single_objective.search_space.speed", 3, "unknown hyperparameter; known: model"),
]


@pytest.mark.parametrize(("key", "value", "line"), REFUSED)
def test_bad_values_are_refused_in_one_line(tmp_path: Path, key: str, value: Any, line: str) -> None:
    content = deepcopy(CONTENT)
    *sections, last = key.split(".")
    target = content
    for section in sections:
        target = target[section]
    target[last] = value
    with (tmp_path / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(content, file)
    with pytest.raises(UserError) as refused:
        chosen = params.load(tmp_path / "params.yaml")
        print(chosen.single_objective.told, chosen.multi_objective.told)  # as a stage does before it checks
        declaration.check_params(chosen)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "instance of" not in str(refused.value)  # as Pydantic says to a programmer
    assert key in str(refused.value)


def test_a_missing_hyperparameter_is_named() -> None:
    chosen = make_params()
    del chosen.training.hyperparameters["lr"]
    with pytest.raises(UserError, match=r"model.lr = None: is missing, here and in the sections model and training"):
        space.default_config(chosen)


def test_steps_that_floats_cannot_hold_exactly_are_accepted() -> None:
    params.FloatRange(type="float", low=0.1, high=0.7, step=0.2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: [1", "is not YAML"),
        (TEXT + "\nseed: 1\n", r"duplicate key .*\(line: \d+\)$"),
        ("", "the whole file = None"),
        ("- 1", "the whole file"),
        ("seed: 0\nmodel:\n\tlr: 1\n", "line 3"),
        ("seed: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("seed: &a [*a]\n", "seed = "),
        (TEXT.replace("seed: 0", "seed: 1e400"), "seed = "),
        (TEXT + "\nsecond: {<<: *nobody}\n", "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_file_that_is_no_params_file(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=line) as refused:
        params.load(tmp_path / "params.yaml")
    assert "\n" not in str(refused.value)


def test_anchors_mean_what_they_say(tmp_path: Path, project: Params) -> None:
    lines = TEXT.splitlines()
    start = [number for number, line in enumerate(lines) if line == "  search_space:"]
    lines[start[0]] = "  search_space: &space"
    again = [*lines[: start[1]], "  search_space: *space", *lines[lines.index("evaluate:") - 1 :]]
    (tmp_path / "params.yaml").write_text("\n".join(again))
    assert params.load(tmp_path / "params.yaml") == project


def test_a_folder_is_no_params_file(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        params.load(tmp_path / "params.yaml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        params.load(tmp_path / "params.yaml")


def test_a_default_outside_of_the_space_is_to_be_given() -> None:
    chosen = make_params(single_objective__first=[{"width": 4}], training__epochs=9)
    line = (
        r"^params.yaml: single_objective.first.0.epochs = 9: as in the default config, outside of the search space: mus"
    )
    with pytest.raises(UserError, match=line):
        declaration.check_params(chosen)
    declaration.check_params(make_params(single_objective__first=[{"width": 4, "epochs": 3}], training__epochs=9))


@pytest.mark.parametrize(
    "seed",
    ["2020-02-30", "!!int x", "!!int ''", "!!float x", "!!bool x", "9" * 5000, "[" * 500],
    ids=lambda value: value[:10],
)
def test_a_value_that_yaml_cannot_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: str) -> None:
    monkeypatch.chdir(tmp_path)
    text = TEXT.replace("seed: 0", f"seed: {seed}")
    Path("params.yaml").write_text(text)
    Path("dvc.yaml").write_text("stages: {report: {params: [seed]}}")
    with pytest.raises(UserError, match=r"^params.yaml: is not YAML: .+"), inputs.unchanged("report"):
        params.load()
