"""What a stage has a worker compute, so that it need not import torch itself."""

from concurrent.futures import BrokenExecutor, Future
from typing import Any

import pytest
from conftest import CONFIG, SPACE, make_params

from reprotune.arithmetic import kernels
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.execution.pool import Pool, TaskFuture
from reprotune.search.study import declaration, preparation
from reprotune.training import cost


class Worker(Pool):
    """Runs a task in this process, as another one would: what that knows is its own. `dies`: it gives nothing back."""

    def __init__(self, here: bool = True, dies: bool = False) -> None:
        super().__init__()
        self.here, self._dies, self.tasks = here, dies, 0

    def attempt(self, future: TaskFuture) -> None:
        self.tasks += 1
        future.attempt = Future()

    def wait_for(self, future: TaskFuture, timeout: float | None) -> Any:
        self.pending.remove(future)
        if self._dies:
            raise BrokenExecutor
        with pytest.MonkeyPatch.context() as its_own:
            forget(its_own)
            return future.task()


def forget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(kernels, "_known", [])
    patch.setattr(cost, "_known", {})


@pytest.fixture
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    forget(monkeypatch)


def refused(*_: object) -> Any:
    raise AssertionError("this process should have been told")


@pytest.mark.usefixtures("_nothing_known")
def test_what_a_worker_computed_is_not_computed_here(dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    params, pool = make_params(), Worker()
    preparation.prepare(params, dataset, pool, [CONFIG])
    known = kernels.digest(), cost.cost_of(CONFIG, dataset.inputs)
    for module, name in ((kernels, "_computed"), (cost, "measure")):
        monkeypatch.setattr(module, name, refused)
    declared = declaration.from_params(params, "multi_objective", dataset)
    assert declared.identity
    assert declared.reference_point[0] > 0
    assert (kernels.digest(), cost.cost_of(CONFIG, dataset.inputs)) == known
    assert pool.tasks == 1


@pytest.mark.usefixtures("_nothing_known")
@pytest.mark.parametrize(("pool", "tasks"), [(Worker(dies=True), 1), (Worker(here=False), 0)])
def test_without_a_worker_on_this_machine_it_is_computed_here(dataset: StoredDataset, pool: Worker, tasks: int) -> None:
    preparation.prepare(make_params(), dataset, pool)
    assert (kernels._known, pool.tasks) == ([kernels.digest()], tasks)
    assert cost._known


def test_a_worker_refuses_a_model_that_cannot_be_built(dataset: StoredDataset) -> None:
    params = make_params(multi_objective__search_space={**SPACE, "model": "cnn", "blocks": 9})
    with pytest.raises(UserError, match=r"^params.yaml: multi_objective.search_space, .*: blocks = 9: too many"):
        preparation.prepare(params, dataset, Worker())


@pytest.mark.parametrize(
    ("changes", "blocks"),
    [
        ({"model__model": "cnn", "model__blocks": 5}, 5),
        ({"single_objective__search_space": {"model": "cnn", "blocks": {"type": "int", "low": 1, "high": 5}}}, 4),
    ],
)
def test_a_net_that_the_images_are_too_small_for_is_refused(
    dataset: StoredDataset, changes: dict[str, Any], blocks: int
) -> None:
    line = f"params.yaml: single_objective.search_space, .*: blocks = {blocks}: too many for images of 8 × 8 pixels"
    with pytest.raises(UserError, match=line):
        preparation.check_models(make_params(**changes), dataset.inputs)


def test_a_net_too_large_for_any_tensor_is_refused(dataset: StoredDataset) -> None:
    space = {"width": {"type": "int", "low": 4, "high": 2**61}}
    with pytest.raises(UserError, match=r"^params.yaml: single_objective.search_space, .*: too large to be built: .*$"):
        preparation.check_models(make_params(single_objective__search_space=space), dataset.inputs)
