"""The engine dask: workers on other machines, or on this one, that a Dask scheduler knows.

The scheduler is given bytes to pass on, so it needs nothing but Dask and loads nothing of a task.
"""

import operator
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from reprotune.artifacts import SharedFiles
from reprotune.errors import UserError, is_shortage, one_line
from reprotune.execution import dask_client
from reprotune.execution.pool import ATTEMPTS, Pool, TaskFuture, given_up
from reprotune.params import Execution

if TYPE_CHECKING:
    from reprotune.execution.dask_worker import Requirements


class DaskPool(Pool):
    """When a worker dies, Dask runs its tasks elsewhere, and gives one up if that happens too often.

    It may have been the fault of another task of the same worker. So it is then run while nothing else is.
    """

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client
        self.here = bool(client.cluster)
        if not self.here:  # workers on other machines have only the time of day in common
            self.clock = time.time
        self._required: Requirements | None = None
        self._sent: list[Any] = []

    def share(self, data: SharedFiles, device: str) -> None:
        """A worker that does not see the folder fetches its files from the scheduler, which holds them."""
        from distributed import Variable

        from reprotune.execution.dask_worker import Requirements, environment

        if self.here:
            return
        source = f"{self._client.id}/{data.digest}"
        self._required = Requirements(tuple(environment(device).items()), device, data, source)
        for name, _ in data.files:
            self._sent.append(Variable(f"{source}/{name}", self._client))
            self._sent[-1].set((data.folder / name).read_bytes())

    def attempt(self, future: TaskFuture) -> None:
        from distributed.protocol.pickle import dumps, loads
        from tlz import compose

        from reprotune.execution import dask_worker

        work = partial(dask_worker.run, self._required, dumps(future.task))
        future.attempt = self._client.submit(compose(operator.call, loads), dumps(work), pure=False)

    def wait_for(self, future: TaskFuture, timeout: float | None) -> Any:
        from distributed import KilledWorker

        self.pending.remove(future)
        alone = 0
        while True:
            try:
                return self._await(future, timeout)
            except Exception as error:
                lacking = future.attempt.status == "error" and is_shortage(error)
                if not (lacking or isinstance(error, KilledWorker)):
                    raise
                if alone == ATTEMPTS:
                    raise given_up(error) from None
            for other in self.pending:
                self._end(other, timeout)
            self.attempt(future)
            alone += 1

    def drop(self) -> None:
        for future in self.pending:  # what runs cannot be stopped; its result is not fetched
            future.attempt.cancel()
        super().drop()

    def _end(self, future: TaskFuture, timeout: float | None) -> None:
        """Wait until the attempt has ended in whatever way; who awaits it is told."""
        with suppress(Exception):
            self._await(future, timeout)

    def _await(self, future: TaskFuture, timeout: float | None) -> Any:
        """The attempt's result. `timeout`: seconds from when its worker began with it."""
        from distributed.client import CancelledError, ClosedClientError
        from distributed.comm import CommClosedError

        left = timeout
        while not future.done():
            try:
                return future.attempt.result(left)
            except TimeoutError:
                if future.attempt.status == "error":  # the task's own
                    return future.attempt.result()
                assert timeout is not None
                left = self._left([future, *self.pending], timeout)
            except (CancelledError, ClosedClientError, CommClosedError):
                lost = "was lost; all finished trials are kept, and `dvc repro` goes on from here when it is back"
                raise UserError(f"the scheduler at {self._client.scheduler.address} {lost}") from None
            except (AttributeError, ImportError) as error:
                raise self._without_code() or error from None
        raise TimeoutError

    def _left(self, futures: Sequence[TaskFuture], timeout: float) -> float:
        """Seconds until the next of them may be overdue. One that is so is ended, and its worker with it.

        It may be one that hangs on the worker on which the awaited one waits for its turn.
        """
        from reprotune.execution.dask_worker import running

        found = self._client.run(running, on_error="ignore")
        times = {key: (worker, seconds) for worker, own in found.items() for key, seconds in own.items()}
        left = timeout  # one that waits for a worker has all of it
        for future in futures:
            worker, seconds = times.get(future.attempt.key, ("", 0.0))
            if seconds < timeout:
                left = min(left, timeout - seconds)
            elif not future.done():
                future.set_exception(TimeoutError())
                future.attempt.cancel()
                self._client.run(os._exit, 1, workers=[worker], on_error="ignore")
        return left

    def _without_code(self) -> UserError | None:
        """What is wrong with the first worker that cannot load what it is to run; None if all can."""
        found = self._client.run(resolve_name, "reprotune.execution.dask_worker:run", on_error="return")
        errors = ((worker, error) for worker, error in found.items() if isinstance(error, Exception))
        for worker, error in errors:
            return UserError(f"worker {worker}: cannot load this reprotune ({one_line(error)}); start it where it can")
        return None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        for variable in self._sent:
            with suppress(OSError):
                variable.delete()


@contextmanager
def started(execution: Execution, workers: int) -> Iterator[Pool]:
    """The cluster at `execution.scheduler`, or one of processes on this machine, which ends with the stage."""
    with dask_client.client(execution, workers) as client, DaskPool(client) as pool:
        yield pool
