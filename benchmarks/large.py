"""Studies of many trials of a real, tiny training: `python -m benchmarks.large`, `--engine dask`; docs/scaling.md.

A clone of this checkout runs the stages: both studies of 2,000 trials, each of an epoch on 500 images. Prints seconds,
memory, and how large what a browser opens has become. `--keep` leaves the clone there.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.start import Params, edit, tiny

STAGES = ("download", "single_objective", "multi_objective", "evaluate", "report")
KEPT = ("results/report.html", "results/single_objective/trials.csv", "mlflow.db", "studies", "mlruns")


def run(stage: str, folder: Path) -> tuple[float, float]:
    """(seconds, MB of the stage's process, or of the largest that it waited for: a local worker is not among these)."""
    started = time.monotonic()
    command = [sys.executable, "-m", f"stages.{stage}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.monotonic() - started, used.ru_maxrss / 1024


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()

    def many(params: Params) -> None:
        tiny(params)
        params["execution"]["engine"] = arguments.engine
        params["evaluate"]["seeds"] = 1
        for name in ("single_objective", "multi_objective"):
            params[name] |= {"n_trials": arguments.trials, "timeout": None}

    with TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)  # noqa: S607
        edit(folder, many)
        print("| stage | s | trials/s | MB |\n|---|---|---|---|", flush=True)
        for stage in STAGES:
            seconds, memory = run(stage, folder)
            speed = f"{arguments.trials / seconds:.1f}" if stage.endswith("objective") else ""
            print(f"| {stage} | {seconds:.0f} | {speed} | {memory:,.0f} |", flush=True)
        print("\n| | MB |\n|---|---|")
        for name in KEPT:
            print(f"| {name} | {size(folder / name) / 1e6:.1f} |")


if __name__ == "__main__":
    main()
