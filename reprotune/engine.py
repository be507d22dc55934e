"""ENGINES: where trials run. Each gives a `concurrent.futures.Executor`; nothing else knows which one it is."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from joblib import cpu_count

from reprotune.params import Execution, ParamsError


def workers(execution: Execution) -> int:
    """`auto` is the number of cores that this process may use (affinity and cgroup limits counted)."""
    return cpu_count() if execution.workers == "auto" else execution.workers


@contextmanager
def _local(execution: Execution) -> Iterator[Executor]:
    """Worker processes, forked from a server that has imported all that a trial needs."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if "forkserver" in methods:
        context.set_forkserver_preload(["reprotune.trial", "torch._dynamo"])  # torch's optimizers import the latter
    with ProcessPoolExecutor(workers(execution), mp_context=context, initializer=_end_with_parent) as executor:
        try:
            executor.submit(_no_task)  # starts the server, while the coordinator imports what only it needs
            yield executor
        except BaseException:
            for process in list(executor._processes.values()):
                process.kill()
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _no_task() -> None:
    pass


def _end_with_parent() -> None:
    """A worker whose coordinator was killed would wait for its next task for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _dask(execution: Execution) -> Iterator[Executor]:
    """A Dask cluster: the one at `execution.scheduler`, or one of local processes."""
    from distributed import Client, LocalCluster

    cluster = execution.scheduler or LocalCluster(
        n_workers=workers(execution), threads_per_worker=1, host="127.0.0.1", dashboard_address=None
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
