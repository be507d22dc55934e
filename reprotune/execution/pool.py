"""What both engines give: an executor whose tasks are awaited in the order of their submission."""

import time
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Any

from reprotune.artifacts import SharedFiles
from reprotune.errors import UserError, is_shortage, one_line

ATTEMPTS = 3  # to run a task alone, which the machine has let down


class WorkerDied(UserError, BrokenExecutor):
    """Each worker that ran this task alone was killed or crashed."""

    def __init__(self) -> None:
        super().__init__(f"its worker died {ATTEMPTS} times, running nothing else (out of memory?)")


class Shortage(UserError, BrokenExecutor):
    """Each time that this task ran alone, memory or a file was lacking."""

    def __init__(self, last: Exception) -> None:
        super().__init__(one_line(f"{type(last).__name__}: {last}") + f"; {ATTEMPTS} times, running nothing else")


def may_pass(error: Exception) -> bool:
    """Whether the task is to be run again, alone: another task may have caused what ended it."""
    return isinstance(error, BrokenExecutor) or is_shortage(error)


def given_up(last: Exception) -> UserError:
    return Shortage(last) if is_shortage(last) else WorkerDied()


class TaskFuture(Future[Any]):
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

    clock: Callable[[], float] = staticmethod(time.monotonic)  # seconds, the same for all of its workers
    here = True  # whether its workers are processes of this machine, begun with this code

    def __init__(self) -> None:
        self.pending: list[TaskFuture] = []  # those that were not awaited yet

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = TaskFuture(self, partial(fn, *args, **kwargs))
        self.attempt(future)
        self.pending.append(future)
        return future

    def share(self, data: SharedFiles, device: str) -> None:
        """Say which files the tasks read, and where they train. Workers on this machine read them where they are."""

    def drop(self) -> None:
        """Leave undone what was not awaited yet and will not be."""
        self.pending.clear()

    @abstractmethod
    def attempt(self, future: TaskFuture) -> None:
        """Give its task to a worker."""

    @abstractmethod
    def wait_for(self, future: TaskFuture, timeout: float | None) -> Any:
        """The result of one that was not awaited before."""
