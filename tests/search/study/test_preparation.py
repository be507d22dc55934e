"""What a stage has a worker compute, so that it need not import torch itself."""

from concurrent.futures import BrokenExecutor, Future
from typing import Any

import pytest
from conftest import CONFIG, SPACE, make_params

from reprotune.arithmetic import kernels
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.execution.pool import Pool, TaskFuture
from reprotune.search import spec as specs
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
    specs.prepare(params, dataset, pool, [CONFIG])
    known = kernels.digest(), cost.cost_of(CONFIG, dataset.inputs)
    for module, name in ((kernels, "_computed"), (cost, "measure")):
        monkeypatch.setattr(module, name, refused)
    declared = specs.from_params(params, "multi_objective", dataset)
    assert declared.identity
    assert declared.reference_point[0] > 0
    assert (kernels.digest(), cost.cost_of(CONFIG, dataset.inputs)) == known
    assert pool.tasks == 1


@pytest.mark.usefixtures("_nothing_known")
@pytest.mark.parametrize(("pool", "tasks"), [(Worker(dies=True), 1), (Worker(here=False), 0)])
def test_without_a_worker_on_this_machine_it_is_computed_here(dataset: StoredDataset, pool: Worker, tasks: int) -> None:
    specs.prepare(make_params(), dataset, pool)
    assert (kernels._known, pool.tasks) == ([kernels.digest()], tasks)
    assert cost._known


def test_a_worker_refuses_a_model_that_cannot_be_built(dataset: StoredDataset) -> None:
    params = make_params(multi_objective__search_space={**SPACE, "model": "cnn", "blocks": 9})
    with pytest.raises(UserError, match=r"^params.yaml: multi_objective.search_space, .*: blocks = 9: too many"):
        specs.prepare(params, dataset, Worker())
