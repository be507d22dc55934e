"""What a start costs, and a small change: `python -m benchmarks.start OTHER`, this checkout against another one.

Clones of both, pair by pair in turn, run `dvc repro` from nothing, then after each of CHANGES; `--tiny` (3 trials of an
epoch on 500 images a study) shows what is fixed. A checkout that has an environment, `.venv`, is run by it. CPU counts
every process, the workers' server too, which `time` does not see. Prints medians over the rounds, this checkout's as a
share of the other's. docs/performance.md has results.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

_SUBREAPER = 36  # of Linux's prctl: orphans become this process's children
_STUDIES = ("single_objective", "multi_objective")
Params = dict[str, Any]
Measured = dict[str, tuple[float, float]]  # what was done → seconds, and seconds of CPU


def tiny(params: Params) -> None:
    params["data"]["train_examples"] = 500
    params["training"]["epochs"] = 1
    for name in _STUDIES:
        params[name]["n_trials"] = 3
        params[name]["search_space"]["epochs"] = 1


def more_seeds(params: Params) -> None:
    params["evaluate"]["seeds"] += 1


def more_trials(params: Params) -> None:
    params["multi_objective"]["n_trials"] += 10


def edit(checkout: Path, change: Callable[[Params], None]) -> None:
    yaml, path = YAML(), checkout / "params.yaml"
    params = yaml.load(path)
    change(params)
    yaml.dump(params, path)


def edit_a_figure(checkout: Path) -> None:
    with (checkout / "reprotune/figures/style.py").open("a") as file:
        file.write("# another line\n")


CHANGES: Mapping[str, Callable[[Path], None]] = {
    "from nothing": lambda checkout: None,
    "evaluate.seeds + 1": lambda checkout: edit(checkout, more_seeds),
    "a figure's code": edit_a_figure,
    "multi_objective.n_trials + 10": lambda checkout: edit(checkout, more_trials),
}


def spent(command: list[str], checkout: Path, programs: Path) -> tuple[float, float]:
    """(seconds, seconds of CPU) of the command and of all that it leaves behind. programs: of an environment."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    variables = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    subprocess.run(command, cwd=checkout, env=variables, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_trial(checkout: Path, programs: Path) -> tuple[float, float]:
    """Seconds from a stage's start until its first trial is told; and its CPU until it is killed then: none."""
    command, started = [str(programs / "python"), "-m", "stages.single_objective", "-f"], time.monotonic()
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True) as stage:
        assert stage.stdout is not None
        next(line for line in stage.stdout if line.startswith("["))
        seconds = time.monotonic() - started
        stage.stdout.read()
    return seconds, 0.0


def measured(origin: Path, folder: Path, small: bool) -> Measured:
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True)  # noqa: S607
    if small:
        edit(folder, tiny)
    own = origin / ".venv/bin"
    programs, found = own if own.exists() else Path(sys.executable).parent, {}
    for name, change in CHANGES.items():
        change(folder)
        found[name] = spent(["dvc", "repro"], folder, programs)
    return found | {"a study's first trial": first_trial(folder, programs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    pairs = []
    for number in range(arguments.rounds):
        with TemporaryDirectory() as folder:
            both = [(Path.cwd(), Path(folder) / "this"), (arguments.other.resolve(), Path(folder) / "other")]
            found = {at.name: measured(origin, at, arguments.tiny) for origin, at in both[:: (-1) ** number]}
        print(json.dumps(found), file=sys.stderr, flush=True)
        pairs.append((found["this"], found["other"]))
    print("| `dvc repro` | seconds | of the other's | CPU | of the other's |\n|---|---|---|---|---|")
    for name in pairs[0][0]:
        cells = [name]
        for kind in (0, 1):
            ours = median(this[name][kind] for this, _ in pairs)
            share = median(this[name][kind] / (other[name][kind] or 1) for this, other in pairs)
            cells += [f"{ours:.1f}", f"{share:.2f}"] if ours else ["", ""]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
