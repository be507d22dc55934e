"""Until when the pipeline has what the usual way has after 100 trials: `python -m benchmarks.to_accuracy`.

Optuna's PyTorch example, its TPE and median pruner, on 3,840 images of Fashion-MNIST; then this pipeline's first study
over the same space, with TPE and a rung, from the start of its process to the first told trial of that accuracy. 5,000
images validate: few would tell luck from skill. A row a seed. It takes Debian's package dataset-fashion-mnist.
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
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    ratios = []
    print("| seed | accuracy | the usual way, s | pipeline, s | its trials | ratio |\n|---|---|---|---|---|---|")
    for seed in range(arguments.seeds):
        with TemporaryDirectory() as folder:
            search = {"sampler": "tpe", "pruner": "none", "rung": {"epoch": 1, "share": 0.2, "among": 25}}
            place = Workplace(Path(folder), "fashion_mnist", 1000, seed, valid_examples=5000, **search)
            accuracy, before = usual(seed, place.data)
            trials, seconds = pipeline(place, accuracy)
        ratios.append(before / seconds)
        print(f"| {seed} | {accuracy:.4f} | {before:.0f} | {seconds:.1f} | {trials} | {ratios[-1]:.0f} |", flush=True)
    print(f"\nMedian ratio: {statistics.median(ratios):.0f}")


if __name__ == "__main__":
    main()
