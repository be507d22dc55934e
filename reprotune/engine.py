"""ENGINES: where trials run. Each gives a `Pool`; nothing else knows which one it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from joblib import cpu_count

from reprotune import cluster, local
from reprotune.params import Execution, ParamsError
from reprotune.pool import Pool

ENGINES: dict[str, Callable[[Execution, int], AbstractContextManager[Pool]]] = {
    "local": local.started,
    "dask": cluster.started,
}


def workers(execution: Execution) -> int:
    """`auto` is the number of cores that this process may use (affinity and cgroup limits counted)."""
    return cpu_count() if execution.workers == "auto" else execution.workers


def started(execution: Execution) -> AbstractContextManager[Pool]:
    if execution.engine not in ENGINES:
        raise ParamsError("execution.engine", execution.engine, f"must be one of {', '.join(ENGINES)}")
    return ENGINES[execution.engine](execution, workers(execution))
