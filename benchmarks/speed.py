"""How fast the pipeline's first study is, against the same work without it: `make bench`, docs/performance.md.

    python -m benchmarks.speed           # Markdown; a quarter of an hour
    python -m benchmarks.speed --quick   # a minute, to see that it runs

The protocol of Optuna's PyTorch example, on the digits that come along and, where it is installed, on Fashion-MNIST:
10 epochs of batches of 128, nothing pruned. Every round runs each contestant once, on the same configs; Ray Tune too,
where it is installed (`pip install "ray[tune]"`).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from reprotune import params, records, session
from reprotune import spec as specs
from reprotune.datasets import StoredDataset

ROOT = Path(__file__).parents[1]
FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
DATASETS: Mapping[str, Mapping[str, Any]] = {
    "mnist_5k": {"train_examples": None, "valid_examples": None},
    "fashion_mnist": {"train_examples": 30 * 128, "valid_examples": 10 * 128, "mirror": str(FASHION)},
}
PARTS = ("start and the rest", "ask", "journal", "MLflow", "result files and figures", "waiting for workers")


class Workplace:
    """A folder in which stages run, by the protocol of Optuna's example. study: its sampler and pruner."""

    def __init__(self, folder: Path, dataset: str, n_trials: int, seed: int = 0, **study: str) -> None:
        self.folder, self.data = folder, folder / "data" / dataset
        yaml = YAML()
        content = yaml.load(ROOT / "presets/exercise.yaml")
        content["seed"] = seed
        content["data"] |= {"dataset": dataset, **DATASETS[dataset]}
        content["single_objective"] |= {"n_trials": n_trials, "timeout": None, **study}
        yaml.dump(content, folder / params.PATH)
        self.run("stages.download")

    def run(self, module: str, *arguments: str) -> str:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=_environment(), check=True, capture_output=True, text=True
        ).stdout

    def begin_anew(self, workers: int) -> None:
        for name in ("studies", "results", "mlruns"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in self.folder.glob("mlflow.db*"):
            path.unlink()
        yaml = YAML()
        content = yaml.load(self.folder / params.PATH)
        content["execution"]["workers"] = workers
        yaml.dump(content, self.folder / params.PATH)

    def stage(self, workers: int) -> "Stage":
        """The first study from nothing, with all that it promises."""
        self.begin_anew(workers)
        started = time.perf_counter()
        with self.started() as process:
            assert process.stdout is not None
            ends = [time.perf_counter() - started for line in process.stdout if line.startswith("[")]
        return Stage(time.perf_counter() - started, ends[0], (ends[-1] - ends[0]) / (len(ends) - 1))

    def started(self) -> "subprocess.Popen[str]":
        """The first study's stage, a line a trial."""
        command = [sys.executable, "-m", "stages.single_objective"]
        return subprocess.Popen(command, cwd=self.folder, env=_environment(), stdout=subprocess.PIPE, text=True)

    def breakdown(self, workers: int) -> dict[str, Any]:
        self.begin_anew(workers)
        return dict(json.loads(self.run("benchmarks.breakdown", "single_objective").splitlines()[-1]))

    def write_configs(self) -> Path:
        """Those that the study tried."""
        path, chosen = self.folder / "configs.json", params.load(self.folder / params.PATH)
        declared = specs.of(chosen, "single_objective", StoredDataset(self.data))
        trials = records.read(self.folder / session.folder(declared), declared)
        path.write_text(json.dumps([dict(trial.config) for trial in trials]), encoding="utf-8")
        return path

    def loop(self, name: str, side_by_side: int = 1, module: str = "benchmarks.loops") -> float:
        """Seconds that the study's configs take the module's loop, in each of so many processes at once; the mean."""
        command = [sys.executable, "-m", module, name, str(self.write_configs()), str(self.data)]
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True)
            for _ in range(side_by_side)
        ]
        return statistics.fmean(float(process.communicate()[0]) for process in processes) / side_by_side


class Stage(NamedTuple):
    """Seconds: of all, to the end of the first trial, and from then on a trial."""

    whole: float
    first: float
    each: float


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def measure(place: Workplace, n_trials: int, rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    """(contestant → seconds a trial, round by round; seconds to the end of the first trial)."""
    found: dict[str, list[float]] = {}
    firsts = []
    for _ in range(rounds):
        seconds = {}
        for workers in (2, 1):
            stage = place.stage(workers)
            firsts.append(stage.first)
            seconds[f"pipeline, workers: {workers}"] = stage.each
            seconds[f"pipeline, workers: {workers}, its start and end counted"] = stage.whole / n_trials
        seconds["usual way"] = place.loop("usual") / n_trials
        seconds["skilled loop"] = place.loop("skilled") / n_trials
        seconds["skilled loop, two side by side"] = place.loop("skilled", side_by_side=2) / n_trials
        seconds["matrix products alone"] = place.loop("products") / n_trials
        if find_spec("ray"):
            for loop in ("usual", "skilled"):
                taken = place.loop(loop, module="benchmarks.ray_tune")
                seconds[f"Ray Tune with MLflow, {loop} loop"] = taken / n_trials
        for name, value in seconds.items():
            found.setdefault(name, []).append(value)
    return found, firsts


def report(place: Workplace, n_trials: int, rounds: int) -> None:
    found, firsts = measure(place, n_trials, rounds)
    pipeline = found["pipeline, workers: 2"]
    print(f"\n## {place.data.name}, {n_trials} trials, {rounds} rounds\n")
    print("| | ms a trial, median (least, most) | times the pipeline's with 2 workers |\n|---|---|---|")
    for name, seconds in found.items():
        each = _spread([1000 * value for value in seconds], ".0f")
        ratio = _spread([value / own for value, own in zip(seconds, pipeline, strict=True)], ".2f")
        print(f"| {name} | {each} | {ratio} |")
    print(f"\nFrom the start of a stage to the end of its first trial: {_spread(firsts, '.1f')} s.\n")
    print("| part of the coordinator, 2 workers | s | of that CPU |\n|---|---|---|")
    parts = place.breakdown(2)
    for part in PARTS:
        print(f"| {part} | {parts['wall'][part]:.2f} | {parts['cpu'][part]:.2f} |")
    whole, own = sum(parts["wall"].values()), sum(parts["cpu"].values())
    service = sum(parts["cpu"][part] for part in ("ask", "journal", "MLflow"))
    print(
        f"\nThe workers trained for {parts['trained']:.1f} of 2 × {whole:.1f} s. Ask, journal and MLflow took ", end=""
    )
    print(f"{service / (own + parts['trained']):.0%} of the CPU time of all processes.", flush=True)


def _spread(values: Sequence[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}, {max(values):{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--dataset", choices=DATASETS, help="only this one")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    installed = [name for name in DATASETS if name == "mnist_5k" or (FASHION.exists() and not arguments.quick)]
    n_trials, rounds = (3, 1) if arguments.quick else (arguments.trials, arguments.rounds)
    for dataset in [arguments.dataset] if arguments.dataset else installed:
        with TemporaryDirectory() as folder:
            place = Workplace(Path(folder), dataset, n_trials, sampler="random", pruner="none")
            report(place, n_trials, rounds)


if __name__ == "__main__":
    main()
