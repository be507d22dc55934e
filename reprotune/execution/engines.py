"""ENGINES: where trials run. Each gives a `Pool`; nothing else knows which one it is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from reprotune.arithmetic import dispatch
from reprotune.errors import ParamsError, UserError, counted, one_line
from reprotune.execution import dask_pool, local_pool
from reprotune.execution.pool import Pool
from reprotune.params import Execution

ENGINES: dict[str, Callable[[Execution, int], AbstractContextManager[Pool]]] = {
    "local": local_pool.started,
    "dask": dask_pool.started,
}


def workers(execution: Execution) -> int:
    """`auto` is the number of cores that this process may use (affinity and cgroup limits counted)."""
    from joblib import cpu_count  # which workers, that import this module too, do not need

    return cpu_count() if execution.workers == "auto" else execution.workers


def told(execution: Execution) -> str:
    """Who trains, for a line."""
    if execution.engine == "dask" and execution.scheduler:
        return f"the workers of {one_line(execution.scheduler)}"
    return counted(workers(execution), "worker")


def started(execution: Execution) -> AbstractContextManager[Pool]:
    """The workers that params.yaml asks for, as long as the context lasts. Raises UserError."""
    if execution.engine not in ENGINES:
        raise ParamsError("execution.engine", execution.engine, f"must be one of {', '.join(ENGINES)}")
    for name, value in dispatch.overridden().items():
        if not execution.own_arithmetic:
            advice = "or set execution.own_arithmetic to true, which makes another study"
            raise UserError(f"environment: {name} = {value!r}: must be {dispatch.allowed(name)}, {advice}")
    return ENGINES[execution.engine](execution, workers(execution))
