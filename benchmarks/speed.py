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

from reprotune import params
from reprotune.data.stored import StoredDataset
from reprotune.errors import PARAMS
from reprotune.results.read import read_trials
from reprotune.search.study import declaration

ROOT = Path(__file__).parents[1]
FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
DATASETS: Mapping[str, Mapping[str, Any]] = {
    "mnist_5k": {"train_examples": None, "valid_examples": None},
    "fashion_mnist": {"train_examples": 30 * 128, "valid_examples": 10 * 128, "mirror": str(FASHION)},
}
SERVICE = ("ask", "journal", "MLflow, a run a trial", "MLflow, the study's own run")
PARTS = ("start and the rest", "opening MLflow", *SERVICE, "result files", "waiting for workers")


class Workplace:
    """A folder in which stages run, by the protocol of Optuna's example. study: its sampler, pruner and rung."""

    def __init__(
        self, folder: Path, dataset: str, n_trials: int, seed: int = 0, valid_examples: int | None = None, **study: Any
    ) -> None:
        self.folder, self.data = folder, folder / "data" / dataset
        yaml = YAML()
        content = yaml.load(ROOT / "presets/exercise.yaml")
        content["seed"] = seed
        content["data"] |= {"dataset": dataset, **DATASETS[dataset]}
        if valid_examples:
            content["data"]["valid_examples"] = valid_examples
        content["single_objective"] |= {"n_trials": n_trials, "timeout": None, **study}
        yaml.dump(content, folder / PARAMS)
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
        content = yaml.load(self.folder / PARAMS)
        content["execution"]["workers"] = workers
        yaml.dump(content, self.folder / PARAMS)

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
        path, chosen = self.folder / "configs.json", params.load(self.folder / PARAMS)
        declared = declaration.from_params(chosen, "single_objective", StoredDataset(self.data))
        trials = read_trials(self.folder / declared.folder, declared)
        path.write_text(json.dumps([dict(trial.config) for trial in trials]), encoding="utf-8")
        return path

    def loop(self, loop: "Loop") -> float:
        """Seconds that the study's configs take it, in each of its processes; the mean."""
        command = [sys.executable, "-m", loop.module, loop.name, str(self.write_configs()), str(self.data)]
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True)
            for _ in range(loop.processes)
        ]
        return statistics.fmean(float(process.communicate()[0]) for process in processes) / loop.processes


class Loop(NamedTuple):
    """What the pipeline is compared with."""

    title: str
    name: str
    module: str = "benchmarks.loops"
    processes: int = 1  # side by side, each with all the configs


LOOPS = (
    Loop("usual way", "usual"),
    Loop("skilled loop", "skilled"),
    Loop("skilled loop, two side by side", "skilled", processes=2),
    Loop("matrix products alone", "products"),
    Loop("Ray Tune with MLflow, usual loop", "usual", "benchmarks.ray_tune"),
    Loop("Ray Tune with MLflow, skilled loop", "skilled", "benchmarks.ray_tune"),
)


class Stage(NamedTuple):
    """Seconds: of all, to the end of the first trial, and from then on a trial."""

    whole: float
    first: float
    each: float


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def measure(place: Workplace, loops: Sequence[Loop], n_trials: int) -> tuple[dict[str, float], list[float]]:
    """A round: (contestant → seconds a trial; seconds to the end of the first trial)."""
    seconds, firsts = {}, []
    for workers in (2, 1):
        stage = place.stage(workers)
        firsts.append(stage.first)
        seconds[f"pipeline, workers: {workers}"] = stage.each
        seconds[f"pipeline, workers: {workers}, its start and end counted"] = stage.whole / n_trials
    for loop in loops:
        seconds[loop.title] = place.loop(loop) / n_trials
    return seconds, firsts


def report(place: Workplace, loops: Sequence[Loop], n_trials: int, rounds: int) -> None:
    found: dict[str, list[float]] = {}
    firsts = []
    for _ in range(rounds):
        seconds, to_first = measure(place, loops, n_trials)
        print(json.dumps(seconds), file=sys.stderr, flush=True)  # so that who stops it has the rounds until then
        firsts += to_first
        for name, value in seconds.items():
            found.setdefault(name, []).append(value)
    pipeline = found["pipeline, workers: 2"]
    print(f"\n## {place.data.name}, {n_trials} trials, {rounds} rounds\n")
    print("| | ms a trial, median (least, most) | times the pipeline's with 2 workers |\n|---|---|---|")
    for name, times in found.items():
        each = _spread([1000 * value for value in times], ".0f")
        ratio = _spread([value / own for value, own in zip(times, pipeline, strict=True)], ".2f")
        print(f"| {name} | {each} | {ratio} |")
    print(f"\nFrom the start of a stage to the end of its first trial: {_spread(firsts, '.1f')} s.\n")
    print("| part of the coordinator, 2 workers | s | of that CPU |\n|---|---|---|")
    parts = place.breakdown(2)
    for part in PARTS:
        print(f"| {part} | {parts['wall'][part]:.2f} | {parts['cpu'][part]:.2f} |")
    whole, own = sum(parts["wall"].values()), sum(parts["cpu"].values())
    service = sum(parts["cpu"][part] for part in SERVICE)
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
    names = [loop.title for loop in LOOPS]
    parser.add_argument("--against", nargs="+", choices=names, default=names, help="all, if not said")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    installed = [name for name in DATASETS if name == "mnist_5k" or (FASHION.exists() and not arguments.quick)]
    n_trials, rounds = (3, 1) if arguments.quick else (arguments.trials, arguments.rounds)
    loops = [loop for loop in LOOPS if loop.title in arguments.against]
    if not find_spec("ray"):
        loops = [loop for loop in loops if "ray" not in loop.module]
    for dataset in [arguments.dataset] if arguments.dataset else installed:
        with TemporaryDirectory() as folder:
            place = Workplace(Path(folder), dataset, n_trials, sampler="random", pruner="none")
            report(place, loops, n_trials, rounds)


if __name__ == "__main__":
    main()
