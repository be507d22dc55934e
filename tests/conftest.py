"""A small dataset and a small study that the tests share."""

import reprotune  # noqa: F401  # first: it pins what NumPy reads as it loads  # isort: skip

import gc
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import nullcontext
from copy import deepcopy
from functools import cache, partial
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from reprotune import artifacts
from reprotune.arithmetic import kernels
from reprotune.data import datasets
from reprotune.data.datasets import Dataset
from reprotune.data.images import Arrays
from reprotune.data.stored import StoredDataset
from reprotune.execution import engines
from reprotune.params import Data, Execution, Images, Params
from reprotune.pipeline import run_study
from reprotune.search import trial
from reprotune.search.samplers import FINITE_ONLY
from reprotune.search.study import journal, preparation, window
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.search.trial import Result, Task, run_trial
from reprotune.tracking import database
from reprotune.training import hyperparameters
from reprotune.training.cost import measure
from reprotune.training.models import meta_model

ROOT = Path(__file__).parents[1]
for given in ("FORCE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "TORCH", "VENV"):  # by `make test FORCE=1`, to all
    os.environ.pop(given, None)
for given in [name for name in os.environ if name.startswith("GIT_")]:  # by a hook, whose repository is not a test's
    del os.environ[given]
# To all of git: a person's key is not asked for.
os.environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "commit.gpgsign", "GIT_CONFIG_VALUE_0": "false"}
# Each takes from a tenth of a second to three to import.
HEAVY = {"distributed", "matplotlib", "mlflow", "optuna", "pandas", "scipy", "sklearn", "torch", "torchvision"}
HEAVY |= {"sympy", "thop", "torch._dynamo"}
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@cache
def committed(path: str) -> str:
    """A file as git's HEAD has it, whatever a user has changed and run since; in an archive, as it is there."""
    command = ["git", "show", f"HEAD:./{path}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return shown.stdout if shown.returncode == 0 else (ROOT / path).read_text(encoding="utf-8")


LONGEST = ["end_to_end", "window", "dask", "every_key", "engines", "fuzz", "faults", "tls"]  # test_….py


def pytest_configure() -> None:
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that no core is idle at the end. What is imported by then is no garbage."""
    gc.freeze()
    gc.set_threshold(200_000)
    gc.enable()
    place = {f"test_{name}": at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


def pytest_sessionfinish() -> None:
    """pytest collects garbage five times as it ends; the first finds it."""
    gc.collect()
    gc.freeze()


def by_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """It is called once for all arguments that print the same; what it raises is raised each time."""
    known: dict[str, Any] = {}

    def remembering(*args: Any) -> Any:
        key = repr(args)
        if key not in known:
            known[key] = function(*args)
        return known[key]

    return remembering


class Remembering(YAML):
    """Parses a text once, and writes a value once, equal ones that are not the same object apart."""

    _parsed: ClassVar[dict[str, Any]] = {}
    _written: ClassVar[dict[bytes, str]] = {}

    def load(self, stream: Any) -> Any:
        text = stream.read()
        if text not in self._parsed:
            self._parsed[text] = super().load(text)
        return deepcopy(self._parsed[text])

    def dump(self, data: Any, stream: Any = None, *, transform: Any = None) -> None:
        key = pickle.dumps(data)
        if key not in self._written:
            super().dump(data, text := StringIO(), transform=transform)
            self._written[key] = text.getvalue()
        stream.write(self._written[key])


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    """What thousands of studies would each do again is done once."""
    from mlflow.store.db import utils

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_get_latest_schema_revision", cache(utils._get_latest_schema_revision))
        patch.setattr(hyperparameters, "TypeAdapter", cache(TypeAdapter))
        patch.setattr(kernels, "version", cache(version))
        patch.setattr(preparation, "meta_model", by_text(meta_model))
        patch.setattr(trial, "measure", by_text(measure))  # of a model's layers, which its text names
        patch.setattr(artifacts, "YAML", Remembering)
        yield


def unsynced(connection: Any, _: object) -> None:
    """What every connection to a database begins with."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session", autouse=True)
def _unsynced() -> Iterator[None]:
    """The disk is not waited for after each line of a journal and each transaction: no test cuts the power."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", unsynced)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
    event.remove(Engine, "connect", unsynced)


def blobs(_: Data | None = None) -> tuple[Arrays, None]:
    """400 images of 8 × 8 in 4 classes: noise, and one bright quarter that says the class."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 100)
    images = rng.integers(0, 200, (400, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += np.uint8(55)
    return Arrays(images, labels.astype(np.int64)), None


IMAGES = Images(folder="images", size=(8, 8), mode="grey")


def make_data(**changes: object) -> Data:
    """A section data that takes all of a dataset."""
    content = {"mirror": None, "images": IMAGES.model_dump(), "train_examples": None, "valid_examples": None}
    return Data.model_validate(content | changes)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredDataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "blobs", Dataset(blobs, valid=80, test=80, classes=tuple("abcd")))
        folder = tmp_path_factory.mktemp("data") / "blobs"
        datasets.download(make_data(dataset="blobs"), 0, folder)
        yield StoredDataset(folder)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs, which a test of tracking holds to MLflow's own."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    database.prepare(path, ())
    return path


@pytest.fixture
def repository(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a stage would take for the project's, to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where MLflow could not be used: half of the time of a study that nobody looks at there."""
    monkeypatch.setattr(run_study, "parent_run", lambda *_: nullcontext(SimpleNamespace(failed=True)))


def make_execution(**changes: Any) -> Execution:
    content = {"engine": "local", "workers": 1, "window": 4, "trial_timeout": None, "scheduler": None}
    return Execution.model_validate(content | changes)


SPACE: Mapping[str, Any] = {
    "layers": {"type": "int", "low": 1, "high": 2},
    "width": {"type": "int", "low": 2, "high": 8},
    "optimizer": {"type": "categorical", "choices": ["Adam", "SGD"]},
    "lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "epochs": {"type": "int", "low": 2, "high": 4},
    "batch_size": 64,
}


@cache
def _project_params() -> Params:
    return Params.model_validate(YAML(typ="safe").load(committed("params.yaml")))


def make_params(**changes: Any) -> Params:
    """The project's params.yaml with a small search space; `single_objective__pruner="none"` changes one key."""
    content = _project_params().model_dump()
    content["execution"]["window"] = 4
    content["multi_objective"]["min_accuracy"] = None
    for name in ("single_objective", "multi_objective"):
        finalists = {"count": 2, "repeats": 1}
        content[name] |= {"search_space": SPACE, "n_trials": 12, "timeout": None, "finalists": finalists}
    for path, value in changes.items():
        *sections, key = path.split("__")
        target = content
        for section in sections:
            target = target[section]
        target[key] = value
    for section in (content["single_objective"], content["multi_objective"]):
        if section["sampler"] in FINITE_ONLY and section["search_space"] is SPACE:
            section["search_space"] = {**SPACE, "lr": {"type": "categorical", "choices": [1e-3, 1e-2]}}
    return Params.model_validate(content)


CONFIG = {**make_params().training.hyperparameters, "model": "mlp", "layers": 1, "width_1": 8, "dropout_1": 0.2}
CONFIG |= {"lr": 0.01, "batch_size": 32, "epochs": 2}


_trained: dict[bytes, Result] = {}


def trained_once(task: Task) -> Result:
    """A task that is the same as one before, to its last byte, is not trained again: a result depends on nothing else,
    as is tested with workers, by `Anew`, and on other processors.
    """
    key = pickle.dumps(task)
    if key not in _trained:
        _trained[key] = run_trial(task)
    return _trained[key]


def once(work: Any) -> Any:
    """Work for a worker, with its trainings by `trained_once`."""
    if isinstance(work, partial):
        return partial(work.func, *map(once, work.args), **work.keywords)
    return trained_once if work is run_trial else work


class Anew(Executor):
    """Runs a task when it is submitted, in this process."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class InlineExecutor(Anew):
    """The same, but equal trainings once."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        return super().submit(once(fn), *args, **kwargs)


class Killed(BaseException):
    pass


class Short(InlineExecutor):
    """Two of the trials fail for want of memory, or those given."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers or (3, 9)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if args[0].number in self._numbers:
            return super().submit(lambda _: Result("FAIL", (), None, "as told", by_machine=True), *args)
        return super().submit(fn, *args, **kwargs)


class Dying(InlineExecutor):
    """Kills the coordinator at its n-th submission."""

    def __init__(self, after: int) -> None:
        self._left = after

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self._left -= 1
        if self._left < 0:
            raise Killed
        return super().submit(fn, *args, **kwargs)


@pytest.fixture(scope="session")
def pools() -> Iterator[Mapping[int, Executor]]:
    """Number of workers → executor."""
    with engines.started(make_execution(workers=1)) as one, engines.started(make_execution(workers=3)) as three:
        yield {1: one, 3: three}


def run(spec: StudySpec, folder: Path, executor: Executor | None = None) -> list[Trial]:
    """The whole study, with its journal in `folder`."""
    with journal.opened(folder / spec.journal, spec.directions, lambda _: False) as opened:
        return list(window.run(spec, opened, executor or InlineExecutor()))


def facts(trials: list[Trial]) -> list[tuple[Any, ...]]:
    """All of a trial but the time that it took."""
    return [(t.number, t.config, t.result.state, t.result.curve, t.result.cost, t.result.reason) for t in trials]
