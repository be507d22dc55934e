"""How many trials a second one coordinator feeds to workers that sleep: `python -m benchmarks.scaling`.

Optuna, the journal, the window and Dask's scheduler are real; a trial is a sleep, so that 64 workers, which are
threads of one Dask worker, fit on one machine. MLflow is left out: docs/scaling.md says what it adds.
"""

import argparse
import tempfile
import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from reprotune import params
from reprotune.data import datasets, stored
from reprotune.execution.dask_pool import DaskPool
from reprotune.search.history import History
from reprotune.search.study import declaration, journal, tasks, window
from reprotune.search.study.spec import StudySpec
from reprotune.search.trial import Result, Task
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch

EPOCHS = 10


def length(seconds: float, number: int) -> float:
    """Of a trial: from half of `seconds` to one and a half."""
    return seconds * (0.5 + number * 0.618 % 1)


def sleep(seconds: float, task: Task) -> Result:
    time.sleep(length(seconds, task.number))
    curve = tuple(Epoch(1.0, 1.0, task.number * 0.618 % 1) for _ in range(EPOCHS))
    return Result("COMPLETE", curve, Cost(1, 2, 1), seconds=seconds)


class Inline(Executor):
    """Runs a task when it is submitted: what is left is the coordinator's own time."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Sleeping(Executor):
    """Submits a sleep for each trial."""

    def __init__(self, pool: Executor, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._pool.submit(sleep, self._seconds, *args, **kwargs)


def times(declared: StudySpec, executor: Executor) -> list[float]:
    """When each trial of a study was told: seconds from its beginning."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / declared.journal
        with journal.opened(path, declared.directions, lambda _: False) as opened:
            began = time.perf_counter()
            return [time.perf_counter() - began for _ in window.run(declared, opened, executor)]


def main() -> None:
    from distributed import Client, LocalCluster

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="about how long each measurement takes")
    limit = parser.parse_args().seconds
    chosen = params.load()
    with tempfile.TemporaryDirectory() as folder:
        datasets.download(chosen.data.model_copy(update={"dataset": "mnist_5k"}), chosen.seed, Path(folder))
        declared = replace(
            declaration.from_params(chosen, "single_objective", stored.StoredDataset(Path(folder))), timeout=None
        )
    print("| workers | window | a trial takes, s | trials/s | workers busy |\n|---|---|---|---|---|")
    for workers in (1, 4, 16, 64):
        at = LocalCluster(n_workers=1, threads_per_worker=workers, host="127.0.0.1", dashboard_address="127.0.0.1:0")
        with at, Client(at) as client, DaskPool(client) as pool:
            pool.submit(sleep, 0.0, tasks.task(declared, 0, {}, History())).result()  # imports what it needs
            for seconds in (0.25, 1.0, 4.0):
                for window in (workers, 2 * workers):
                    n_trials = max(2 * window, int(limit * min(workers / seconds, 25)))
                    ended = times(replace(declared, window=window, n_trials=n_trials), Sleeping(pool, seconds))[-1]
                    busy = sum(length(seconds, number) for number in range(n_trials)) / (workers * ended)
                    print(f"| {workers} | {window} | {seconds} | {n_trials / ended:.1f} | {busy:.0%} |", flush=True)
    print("\n| sampler | trials/s around trial 100 | 200 | 300 |\n|---|---|---|---|")
    for sampler in ("tpe", "random"):
        told = times(replace(declared, sampler=sampler, window=64, n_trials=400), Sleeping(Inline(), 0))
        rates = (f"{50 / (told[number - 1] - told[number - 51]):.0f}" for number in (100, 200, 300))
        print(f"| {sampler} | {' | '.join(rates)} |")


if __name__ == "__main__":
    main()
