"""What every kind of study keeps to: which kinds there are, and executors that disturb one."""

from concurrent.futures import Executor, Future
from typing import Any

from conftest import make_params, once

from reprotune.data.stored import StoredDataset
from reprotune.search.pruners import ONE_OBJECTIVE, SEVERAL_OBJECTIVES
from reprotune.search.samplers import SAMPLERS, SINGLE_OBJECTIVE_ONLY
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec

CONTRACT = (
    [("single_objective", sampler, "median") for sampler in SAMPLERS]
    + [("single_objective", "random", pruner) for pruner in ONE_OBJECTIVE if pruner != "median"]
    + [("multi_objective", sampler, "pareto") for sampler in SAMPLERS if sampler not in SINGLE_OBJECTIVE_ONLY]
    + [("multi_objective", "random", pruner) for pruner in SEVERAL_OBJECTIVES if pruner != "pareto"]
)


def spec(dataset: StoredDataset, name: str = "single_objective", **changes: Any) -> StudySpec:
    return declaration.from_params(
        make_params(**{f"{name}__{key}": value for key, value in changes.items()}), name, dataset
    )


class Backwards(Executor):
    """Finishes the open tasks in the reverse order of their submission, as late as it can."""

    def __init__(self) -> None:
        self._open: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Lazy(self)
        self._open.append((future, lambda: once(fn)(*args, **kwargs)))
        return future

    def finish_all(self) -> None:
        while self._open:
            future, call = self._open.pop()
            future.set_result(call())


class Lazy(Future[Any]):
    def __init__(self, executor: Backwards) -> None:
        super().__init__()
        self._executor = executor

    def result(self, timeout: float | None = None) -> Any:
        self._executor.finish_all()
        return super().result(timeout)
