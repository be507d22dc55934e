"""ENGINES: where trials run. Each gives a `concurrent.futures.Executor`; nothing else knows which one it is."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from joblib import cpu_count

from reprotune.errors import Refused
from reprotune.params import Execution, ParamsError

_ATTEMPTS = 3  # to run a task whose worker died


def workers(execution: Execution) -> int:
    """`auto` is the number of cores that this process may use (affinity and cgroup limits counted)."""
    return cpu_count() if execution.workers == "auto" else execution.workers


class WorkerDied(Refused):
    """Each worker that ran this task alone was killed or crashed."""


class _Call(Future[Any]):
    """A task given to the pool, and given again if a worker's death took it away."""

    def __init__(self, pool: "_Pool", task: Callable[[], Any]) -> None:
        super().__init__()
        self._pool = pool
        self.task = task
        self.attempt: Future[Any]

    def result(self, timeout: float | None = None) -> Any:
        """Raises TimeoutError, and ends the worker, if it takes longer than `timeout` seconds from now."""
        if not self.done():
            try:
                self.set_result(self._pool.wait_for(self, timeout))
            except Exception as error:
                self.set_exception(error)
        return super().result()


class _Pool(Executor):
    """Worker processes that are replaced when they die. Tasks are awaited in the order of their submission.

    When one worker dies, a process pool loses all its tasks and does not say whose worker it was. So the oldest
    is then run alone: if its worker dies again, it is its own, whatever the timing.
    """

    def __init__(self, start: Callable[[], ProcessPoolExecutor]) -> None:
        self._start = start
        self._processes = start()
        self._calls: list[_Call] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = _Call(self, partial(fn, *args, **kwargs))
        self._give(call)
        self._calls.append(call)
        return call

    def _give(self, call: _Call) -> None:
        try:
            call.attempt = self._processes.submit(call.task)
        except BrokenExecutor as broken:  # told to whoever awaits it
            call.attempt = Future()
            call.attempt.set_exception(broken)

    def wait_for(self, call: _Call, timeout: float | None) -> Any:
        self._calls.remove(call)
        try:
            return call.attempt.result(timeout)
        except TimeoutError:
            self._restart()
            raise
        except BrokenExecutor:
            return self._run_alone(call, timeout)

    def _run_alone(self, call: _Call, timeout: float | None) -> Any:
        try:
            for _ in range(_ATTEMPTS):
                self._end()
                self._processes = self._start()
                self._give(call)
                with suppress(BrokenExecutor):
                    return call.attempt.result(timeout)
            raise WorkerDied(f"its worker died {_ATTEMPTS} times, running nothing else (out of memory?)")
        finally:
            self._restart()

    def _restart(self) -> None:
        """New workers, and to them all the tasks that the old ones did not finish."""
        self._end()
        self._processes = self._start()
        for call in self._calls:
            if not _finished(call.attempt):
                self._give(call)

    def _end(self) -> None:
        for process in list((self._processes._processes or {}).values()):
            process.kill()
        self._processes.shutdown(wait=True, cancel_futures=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait, cancel_futures
        self._end()


def _finished(attempt: Future[Any]) -> bool:
    return attempt.done() and not attempt.cancelled() and not isinstance(attempt.exception(), BrokenExecutor)


@contextmanager
def _local(execution: Execution) -> Iterator[Executor]:
    """Worker processes, forked from a server that has imported all that a trial needs."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(["reprotune.trial", "torch._dynamo"])  # torch's optimizers import the latter
    with _Pool(lambda: ProcessPoolExecutor(workers(execution), context, _begin)) as pool:
        pool.submit(_nothing)  # starts the server, while the coordinator imports what only it needs
        yield pool


def _nothing() -> None:
    pass


def _begin() -> None:
    """A worker leaves Ctrl-C to its coordinator, and ends when that is gone instead of waiting for tasks for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(execution: Execution) -> Iterator[Executor]:
    """A Dask cluster: the one at `execution.scheduler`, or one of local processes."""
    from distributed import Client, LocalCluster

    cluster = execution.scheduler or LocalCluster(
        n_workers=workers(execution), threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    )
    with Client(cluster) as client, client.get_executor(pure=False) as executor:
        yield executor
    if isinstance(cluster, LocalCluster):
        cluster.close()


ENGINES: dict[str, Callable[[Execution], AbstractContextManager[Executor]]] = {"local": _local, "dask": _dask}


def started(execution: Execution) -> AbstractContextManager[Executor]:
    if execution.engine not in ENGINES:
        raise ParamsError("execution.engine", execution.engine, f"must be one of {', '.join(ENGINES)}")
    return ENGINES[execution.engine](execution)
