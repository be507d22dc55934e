"""Until when the pipeline has what the usual way has after 100 trials: `python -m benchmarks.to_accuracy`.

Optuna's PyTorch example, its TPE and median pruner, on the digits that come along; then this pipeline's first study
over the same space, from the start of its process to the first told trial of that accuracy. A row a seed.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed import ROOT, Workplace


def usual(seed: int, data: Path) -> tuple[float, float]:
    """(best accuracy, seconds)."""
    command, started = [sys.executable, "-m", "benchmarks.usual_study", str(seed), str(data)], time.perf_counter()
    best = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return float(best), time.perf_counter() - started


def pipeline(place: Workplace, accuracy: float) -> tuple[int, float]:
    """(trials, seconds) until one has the accuracy; nan seconds if none of all has."""
    place.begin_anew(2)
    started, trials = time.perf_counter(), 0
    with place.started() as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"best (\d\.\d+)", line):
                trials += 1
                if float(found[1]) >= round(accuracy, 4):
                    seconds = time.perf_counter() - started
                    process.terminate()
                    return trials, seconds
    return trials, float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    ratios = []
    print("| seed | accuracy | the usual way, s | pipeline, s | its trials | ratio |\n|---|---|---|---|---|---|")
    for seed in range(arguments.seeds):
        with TemporaryDirectory() as folder:
            place = Workplace(Path(folder), "mnist_5k", n_trials=1000, seed=seed, sampler="tpe", pruner="median")
            accuracy, before = usual(seed, place.data)
            trials, seconds = pipeline(place, accuracy)
        ratios.append(before / seconds)
        print(f"| {seed} | {accuracy:.4f} | {before:.0f} | {seconds:.1f} | {trials} | {ratios[-1]:.0f} |", flush=True)
    print(f"\nMedian ratio: {statistics.median(ratios):.0f}")


if __name__ == "__main__":
    main()
