"""The engine dask: workers on other machines, or on this one, that a Dask scheduler knows.

The scheduler is given bytes to pass on, so it needs nothing but Dask and loads nothing of a task.
"""

import operator
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from reprotune import connection
from reprotune.errors import Refused, line
from reprotune.params import Execution
from reprotune.pool import ATTEMPTS, Call, Pool, WorkerDied

if TYPE_CHECKING:
    from reprotune.datasets import StoredDataset
    from reprotune.worker import Terms


class Cluster(Pool):
    """When a worker dies, Dask runs its tasks elsewhere, and gives one up if that happens too often.

    It may have been the fault of another task of the same worker. So it is then run while nothing else is.
    """

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client
        self._terms: Terms | None = None
        self._sent: list[Any] = []

    def share(self, dataset: "StoredDataset", device: str) -> None:
        """A worker that does not see the dataset's folder fetches its files from the scheduler, which holds them."""
        from distributed import Variable

        from reprotune.worker import Terms, environment

        if self._client.cluster:  # its workers are processes of this machine, begun with this code
            return
        source = f"{self._client.id}/{dataset.digest}"
        self._terms = Terms(tuple(environment(device).items()), device, dataset.folder, dataset.digest, source)
        for path in dataset.files:
            self._sent.append(Variable(f"{source}/{path.name}", self._client))
            self._sent[-1].set(path.read_bytes())

    def give(self, call: Call) -> None:
        from distributed.protocol.pickle import dumps, loads
        from tlz import compose

        from reprotune import worker

        work = partial(worker.run, self._terms, dumps(call.task))
        call.attempt = self._client.submit(compose(operator.call, loads), dumps(work), pure=False)

    def wait_for(self, call: Call, timeout: float | None) -> Any:
        from distributed import KilledWorker

        self.calls.remove(call)
        for _ in range(1 + ATTEMPTS):
            with suppress(KilledWorker):
                return self._await(call, timeout)
            for other in self.calls:
                self._end(other, timeout)
            self.give(call)
        raise WorkerDied

    def _end(self, call: Call, timeout: float | None) -> None:
        """Wait until the attempt has ended in whatever way; who awaits the call is told."""
        if not call.done():
            try:
                self._await(call, timeout)
            except TimeoutError as error:
                call.set_exception(error)
            except Exception:  # noqa: S110
                pass

    def _await(self, call: Call, timeout: float | None) -> Any:
        """The attempt's result. `timeout`: seconds from when its worker began with it."""
        from distributed.client import CancelledError, ClosedClientError

        left = timeout
        while not call.done():
            try:
                return call.attempt.result(left)
            except TimeoutError:
                assert timeout is not None
                left = self._left([call, *self.calls], timeout)
            except (CancelledError, ClosedClientError):
                lost = "was lost; all finished trials are kept, and `dvc repro` goes on from here when it is back"
                raise Refused(f"the scheduler at {self._client.scheduler.address} {lost}") from None
            except (AttributeError, ImportError) as error:
                raise self._without_code() or error from None
        raise TimeoutError

    def _left(self, calls: Sequence[Call], timeout: float) -> float:
        """Seconds until the next of the calls may be overdue. One that is so is ended, and its worker with it.

        It may be one that hangs on the worker on which the awaited one waits for its turn.
        """
        from reprotune.worker import running

        found = self._client.run(running, on_error="ignore")
        times = {key: (worker, seconds) for worker, own in found.items() for key, seconds in own.items()}
        left = timeout  # one that waits for a worker has all of it
        for call in calls:
            worker, seconds = times.get(call.attempt.key, ("", 0.0))
            if seconds < timeout:
                left = min(left, timeout - seconds)
            elif not call.done():
                call.set_exception(TimeoutError())
                call.attempt.cancel()
                self._client.run(os._exit, 1, workers=[worker], on_error="ignore")
        return left

    def _without_code(self) -> Refused | None:
        """What is wrong with the first worker that cannot load what it is to run; None if all can."""
        found = self._client.run(resolve_name, "reprotune.worker:run", on_error="return")
        errors = ((worker, error) for worker, error in found.items() if isinstance(error, Exception))
        for worker, error in errors:
            return Refused(f"worker {worker}: cannot load this reprotune ({line(error)}); start it where it can")
        return None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        for variable in self._sent:
            with suppress(OSError):
                variable.delete()


@contextmanager
def started(execution: Execution, workers: int) -> Iterator[Pool]:
    """The cluster at `execution.scheduler`, or one of processes on this machine, which ends with the stage."""
    with connection.client(execution, workers) as client, Cluster(client) as pool:
        yield pool
