"""What a trial costs in MLflow: `python -m benchmarks.tracking`, of the store that MLFLOW_TRACKING_URI names.

Without it, of a new store as the stages make it. A trial has ten epochs, and trains for no time; the study is real.
"""

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from benchmarks.scaling import Inline, Sleeping
from reprotune import params
from reprotune.data import datasets, stored
from reprotune.search.study import declaration, journal, window
from reprotune.search.study.spec import StudySpec
from reprotune.tracking.parent_run import parent_run


def seconds(declared: StudySpec, folder: Path) -> list[float]:
    """Of each trial's run, from its params to its status."""
    found = []
    with (
        journal.opened(folder / declared.journal, declared.directions, lambda _: False) as opened,
        parent_run(declared.name, uuid4().hex, {}, "benchmarks.tracking") as parent,
    ):
        for trial in window.run(declared, opened, Sleeping(Inline(), 0)):
            began = time.perf_counter()
            parent.log_trial(declared, opened.study, trial)
            found.append(time.perf_counter() - began)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    trials = parser.parse_args().trials
    chosen = params.load()
    os.environ["REPROTUNE_EXPERIMENT_PREFIX"] = "benchmark/"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DVC_ROOT"] = name  # where the stages make a store
        datasets.download(chosen.data.model_copy(update={"dataset": "mnist_5k"}), chosen.seed, folder / "data")
        declared = declaration.from_params(chosen, "single_objective", stored.StoredDataset(folder / "data"))
        found = seconds(replace(declared, sampler="random", n_trials=trials, timeout=None), folder)
    median, most = (1000 * value for value in (statistics.median(found), sorted(found)[int(0.9 * len(found))]))
    print(f"{len(found)} trials, ms each: median {median:.0f}, 90 % within {most:.0f}")


if __name__ == "__main__":
    main()
