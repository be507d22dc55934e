"""What both engines give: an executor whose tasks are awaited in the order of their submission."""

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import TYPE_CHECKING, Any

from reprotune.errors import Refused

if TYPE_CHECKING:
    from reprotune.datasets import StoredDataset

ATTEMPTS = 3  # to run a task alone, whose worker died


class WorkerDied(Refused):
    """Each worker that ran this task alone was killed or crashed."""

    def __init__(self) -> None:
        super().__init__(f"its worker died {ATTEMPTS} times, running nothing else (out of memory?)")


class Call(Future[Any]):
    """A task given to workers, and given again if a worker's death took it away."""

    def __init__(self, pool: "Pool", task: Callable[[], Any]) -> None:
        super().__init__()
        self._pool = pool
        self.task = task
        self.attempt: Any  # the latest, as the engine has it

    def result(self, timeout: float | None = None) -> Any:
        """Raises TimeoutError, and ends the worker, if it runs for longer than `timeout` seconds."""
        if not self.done():
            try:
                self.set_result(self._pool.wait_for(self, timeout))
            except Exception as error:
                if not self.done():  # it was found to be overdue
                    self.set_exception(error)
        return super().result()


class Pool(Executor):
    """Workers that are replaced when they die, so that a death costs no task but the one that it is the fault of."""

    def __init__(self) -> None:
        self.calls: list[Call] = []  # that were not awaited yet

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = Call(self, partial(fn, *args, **kwargs))
        self.give(call)
        self.calls.append(call)
        return call

    def share(self, dataset: "StoredDataset", device: str) -> None:
        """Say which dataset the tasks will open, and where they train. Workers on this machine read it where it is."""

    @abstractmethod
    def give(self, call: Call) -> None:
        """Begin an attempt."""

    @abstractmethod
    def wait_for(self, call: Call, timeout: float | None) -> Any:
        """The result of a call that was not awaited before."""
