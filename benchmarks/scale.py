"""What the coordinator itself takes a trial, from the first to the ten-thousandth: `python -m benchmarks.scale`.

Journal, window, pickling of tasks and MLflow are real; a trial is no training, and proposals are random. `--quick`
takes 200 trials.
"""

import argparse
import pickle
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

from reprotune import params
from reprotune.data import datasets, stored
from reprotune.search.study import declaration, journal, window
from reprotune.search.study.spec import StudySpec
from reprotune.search.trial import Result, Task
from reprotune.tracking import parent_run
from reprotune.training.cost import Cost
from reprotune.training.learning_curve import Epoch

EPOCHS = 10


class Pickling(Executor):
    """Pickles a task as for a worker, and trains nothing."""

    def __init__(self) -> None:
        self.sent = 0  # bytes, of the last task

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        task: Task = args[0]
        self.sent = len(pickle.dumps((fn, args, kwargs)))
        curve = tuple(Epoch(1.0, 1.0, (task.number * 0.618 + epoch / 100) % 1) for epoch in range(EPOCHS))
        future: Future[Any] = Future()
        future.set_result(Result("COMPLETE", curve, Cost(2, 1, 1), seconds=0.0))
        return future


class Row(NamedTuple):
    trials: int
    study_ms: float  # a trial, over the last tenth of the trials: ask, task, tell, journal
    mlflow_ms: float
    task_kb: float
    resident_mb: float
    journal_mb: float
    database_mb: float


def grow(declared: StudySpec) -> Iterator[Row]:
    """Run the study in the current folder; a row after each tenth of it."""
    executor, every = Pickling(), declared.n_trials // 10
    with (
        parent_run.parent_run("scale", declared.identity, {}) as parent,
        journal.opened(declared.journal, declared.directions, lambda _: False) as opened,
    ):
        since, tracked = time.perf_counter(), 0.0
        for trial in window.run(declared, opened, executor):
            began = time.perf_counter()
            parent.log_trial(declared, opened.study, trial)
            tracked += time.perf_counter() - began
            done = trial.number + 1
            if done % every == 0:
                whole = time.perf_counter() - since
                yield Row(
                    done,
                    1000 * (whole - tracked) / every,
                    1000 * tracked / every,
                    executor.sent / 1e3,
                    psutil.Process().memory_info().rss / 1e6,
                    declared.journal.stat().st_size / 1e6,
                    sum(path.stat().st_size for path in Path().glob("mlflow.db*")) / 1e6,
                )
                since, tracked = time.perf_counter(), 0.0


def resumed(declared: StudySpec) -> float:
    """Seconds until a study that has all its trials has been read and replayed."""
    began = time.perf_counter()
    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        assert sum(1 for _ in window.run(declared, opened, Pickling())) == declared.n_trials
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pruner", default="none", help="median sends each worker the curves of the trials before")
    arguments = parser.parse_args()
    n_trials = 200 if arguments.quick else 10_000
    chosen = params.load()
    with TemporaryDirectory() as folder, chdir(folder):
        datasets.download(chosen.data.model_copy(update={"dataset": "mnist_5k"}), chosen.seed, Path("data"))
        declared = declaration.from_params(chosen, "single_objective", stored.StoredDataset(Path("data")))
        changes = {"sampler": "random", "pruner": arguments.pruner, "n_trials": n_trials, "timeout": None}
        declared = replace(declared, **changes)
        titles = (
            "trials",
            "study, ms a trial",
            "MLflow, ms a trial",
            "task, kB",
            "resident, MB",
            "journal, MB",
            "MLflow, MB",
        )
        print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
        for row in grow(declared):
            print(f"| {row.trials} | {' | '.join(f'{value:.1f}' for value in row[1:])} |", flush=True)
        print(f"\nResumed with all of its trials: {resumed(declared):.1f} s")


if __name__ == "__main__":
    main()
