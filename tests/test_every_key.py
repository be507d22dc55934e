"""Each key of params.yaml is changed alone after a finished run, and changed back: the stages run both times."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from conftest import ROOT, InlineExecutor, blobs, make_params

from reprotune import params
from reprotune.artifacts import file_digest, flat, read_yaml, write_json
from reprotune.data import datasets
from reprotune.data.datasets import Dataset
from reprotune.execution import engines
from reprotune.params import load
from reprotune.pipeline import report, run_study
from stages import download, evaluate, multi_objective, single_objective
from stages import report as report_stage

STAGES = (download, single_objective, multi_objective, evaluate, report_stage)
PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
BASE = make_params(
    single_objective__n_trials=3,
    multi_objective__n_trials=3,
    evaluate__seeds=1,
    training__epochs=2,
    data__dataset="blobs",
    data__images__size=[8, 8],
).model_dump(mode="json")
# The others are made larger by one.
OTHER: dict[str, Any] = {
    "data.dataset": "other_blobs",
    "data.mirror": "/a/mirror",
    "data.train_examples": 100,
    "data.valid_examples": 40,
    "data.metric": "balanced_accuracy",
    "data.images.folder": "elsewhere",
    "data.images.size": [9, 9],
    "data.images.mode": "rgb",
    "data.images.fit": "crop",
    "data.images.range": [0, 4095],
    "data.images.group": "a",
    "model.model": "cnn",
    "model.dropout": 0.3,
    "model.kernel": 1,
    "model.pooling": "average",
    "training.device": "auto",
    "training.optimizer": "SGD",
    "training.schedule": "cosine",
    "training.lr": 0.002,
    "training.momentum": 0.5,
    "training.label_smoothing": 0.1,
    "execution.engine": "dask",
    "execution.workers": 2,
    "execution.trial_timeout": 600.0,
    "execution.scheduler": "tcp://127.0.0.1:8786",
    "multi_objective.minimize": "parameters",
    "multi_objective.min_accuracy": 0.5,
    **{f"{name}.max_flops": 1000 for name in ("single_objective", "multi_objective")},
    **{f"{name}.max_parameters": 500 for name in ("single_objective", "multi_objective")},
    **{f"{name}.timeout": 900.0 for name in ("single_objective", "multi_objective")},
    **{f"{name}.sampler": "random" for name in ("single_objective", "multi_objective")},
    **{f"{name}.pruner": "none" for name in ("single_objective", "multi_objective")},
    "single_objective.rung": {"epoch": 1, "share": 0.5, "among": 4},
    "multi_objective.rung": {"epoch": 1, "margin": 0.0},
    **{f"{name}.max_epochs": 4 for name in ("single_objective", "multi_objective")},
    **{f"{name}.patience": 1 for name in ("single_objective", "multi_objective")},
    **{f"{name}.first": [{"width": 4, "epochs": 3}] for name in ("single_objective", "multi_objective")},
}


def keys() -> Iterator[str]:
    """Those of params.yaml, a hyperparameter of a search space being one."""
    for key in dict(flat(BASE)):
        yield ".".join(key.split(".")[:3])


def other(key: str) -> Any:
    """Another legal value; of what is searched, the least or first that it can be."""
    value: Any = BASE
    for part in key.split("."):
        value = value[part]
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, dict):
        return value["choices"][0] if value["type"] == "categorical" else value["low"]
    return not value if isinstance(value, bool) else value + 1


@contextmanager
def inline(*_: Any) -> Iterator[InlineExecutor]:
    executor = InlineExecutor()
    executor.share = lambda *_: None  # type: ignore[attr-defined]
    executor.here = True  # type: ignore[attr-defined]
    yield executor


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """A folder to run the stages in, all in this process; what draws is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        patch.setattr(engines, "started", inline)
        for name in ("blobs", "other_blobs"):
            patch.setitem(datasets.DATASETS, name, Dataset(blobs, valid=80, test=80, classes=tuple("abcd")))
        loaded = cache(lambda _: load())
        patch.setattr(params, "load", lambda: loaded(Path("params.yaml").read_text()))  # most stages read the same
        patch.setattr(report, "draw", lambda *_: None)
        patch.setattr(report, "write", lambda *_: None)
        for path in (report.REPORT, report.SCORES, report.SAMPLES):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        yield patch


@pytest.fixture(scope="module")
def finished(project: pytest.MonkeyPatch) -> None:
    """The stages have run, with a stand-in for MLflow that refuses what MLflow refuses: another value of a param."""
    logged: dict[tuple[str, str], dict[str, Any]] = {}

    @contextmanager
    def parent(experiment: str, identity: str, params: dict[str, Any], *_: object) -> Iterator[Mock]:
        assert logged.setdefault((experiment, identity), dict(flat(params))) == dict(flat(params))
        yield Mock(failed=False, surviving=nullcontext)

    project.setattr(run_study, "parent_run", parent)
    project.setattr(report, "parent_run", parent)
    project.setattr(report, "add_files", lambda *_: None)
    run(BASE)
    for name in ("single_objective", "multi_objective"):
        shutil.copytree(Path("results") / name, Path("adopted") / name)


def what_it_is_given(stage: str, content: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Its params and its deps but the code."""
    keys = tuple(f"{key}." for key in PIPELINE[stage]["params"])
    deps = [dep.replace("${data.dataset}", content["data"]["dataset"]) for dep in PIPELINE[stage]["deps"]]
    made = (Path(dep) for dep in deps if dep.startswith(("data/", "results/")))
    files = (file for path in made for file in (path, *path.glob("*")))
    own = {key: value for key, value in flat(content) if f"{key}.".startswith(keys)}
    return own, {str(file): file_digest(file) for file in files if file.is_file()}


def run(content: dict[str, Any]) -> None:
    """As `dvc repro` does: the stages whose params or deps are not those of their last run here."""
    write_json(Path("params.yaml"), content)  # which is YAML too
    for stage in STAGES:
        last = Path(f"{stage.__name__}.given")
        given = repr(what_it_is_given(stage.__name__.removeprefix("stages."), content))
        if not last.exists() or last.read_text() != given:
            stage.main()
            last.write_text(given)


def results() -> dict[str, str]:
    return {str(path): file_digest(path) for path in sorted(Path("results").rglob("*.*"))}


def with_other(key: str) -> dict[str, Any]:
    changed = deepcopy(BASE)
    *sections, last = key.split(".")
    target = changed
    for section in sections:
        target = target[section]
    target[last] = other(key)
    assert changed != BASE
    return changed


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("key", dict.fromkeys(keys()))
def test_a_key_is_changed_and_changed_back(key: str) -> None:
    before = results()
    run(with_other(key))
    run(BASE)
    assert results() == before


def test_mlflow_takes_a_changed_default(project: pytest.MonkeyPatch, repository: Path) -> None:
    """training.lr is searched by both studies: they are the same, and are replayed."""
    for path in (report.REPORT, report.SCORES, report.SAMPLES):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    run(BASE)
    before = results()
    run(with_other("training.lr"))
    assert {file for file, digest in results().items() if digest != before.get(file)} == {
        "results/evaluation/metrics.json",
        "results/evaluation/test_scores.csv",
    }
    run(BASE)
    assert results() == before
