"""Kill the studies at random, let them go on, and see that nothing was lost, repeated or changed.

A schedule of kills, seeded: of the whole process group, the coordinator, one worker, all workers, or DVC, by
SIGKILL, and of the coordinator by SIGTERM and SIGINT; at a moment between the start of a run and its usual end, which
comes the sooner the more of the study is done.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from clone import Clone

KINDS = ("group", "coordinator", "one worker", "all workers", "dvc", "SIGTERM", "SIGINT")
STAGES = ("single_objective", "multi_objective")
TRIALS = 40  # enough that most kills find a study at work


@dataclass
class Tally:
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    locks_torn: int = 0  # by kills of DVC

    def line(self) -> str:
        names = ("trials lost", "trials repeated", "bytes changed", "runs missing", "runs doubled", "workers orphaned")
        faults = ", ".join(f"{self.faults[name]} {name}" for name in names)
        return f"{self.kills.total()} kills; {faults}; {dict(self.kills)}, DVC's own lock torn {self.locks_torn} times"


@dataclass
class Pace:
    """Of a study that nothing disturbs, in seconds."""

    start: float  # until its journal begins
    work: float  # from then on


def undisturbed(clone: Clone) -> Pace:
    """Run both studies."""
    clone.run("dvc", "repro", "download")
    began = time.monotonic()
    process = clone.start("dvc", "repro", "multi_objective")
    while not journal(clone, STAGES[0]) and process.poll() is None:
        time.sleep(0.1)
    start = time.monotonic() - began
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return Pace(start, (time.monotonic() - began) / len(STAGES) - start)


def soak(clone: Clone, kills: int, seed: int) -> Tally:
    rng = random.Random(seed)
    tally = Tally()
    pace = undisturbed(clone)
    expected = {path: digest for path, digest in clone.results().items() if path.split("/")[1] in STAGES}
    while tally.kills.total() < kills:
        for name in ("studies", "results", ".dvc/cache", "mlruns"):
            shutil.rmtree(clone.path / name, ignore_errors=True)
        for path in clone.path.glob("mlflow.db*"):
            path.unlink()
        for stage in STAGES:
            while not attempt(clone, stage, rng, pace, tally, kills):
                pass
        check(clone, expected, tally)
        print(tally.line(), flush=True)
    return tally


def attempt(clone: Clone, stage: str, rng: random.Random, pace: Pace, tally: Tally, kills: int) -> bool:
    """Run the stage, and kill it while there are kills to do; whether it came to its end."""
    command = ["dvc", "repro", "-s", stage]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    before = journal(clone, stage)
    tally.locks_torn += mend_lock(clone)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=clone.path, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        kind, family, start = "", list[psutil.Process](), pace.start
        while process.poll() is None and tally.kills.total() < kills:  # a worker's death does not end the stage
            with contextlib.suppress(subprocess.TimeoutExpired):
                left = pace.work * (1 - len(told(journal(clone, stage))) / TRIALS)
                process.wait(rng.uniform(0, start + left))
            start = 1.0  # until a killed worker has a successor
            if process.poll() is None:
                kind = rng.choice(KINDS)
                family += kill(process.pid, kind, rng, tally)
        code = process.wait()
        output.seek(0)
        printed = output.read().decode()
    _, alive = psutil.wait_procs(family if code else [], timeout=20)
    tally.faults["workers orphaned"] += len(alive)
    for orphan in alive:
        print(f"orphaned by {kind}: {orphan}", flush=True)
    after = journal(clone, stage)
    complete = before[: before.rfind(b"\n") + 1]
    if not after.startswith(complete):  # a journal only grows: what was told stays told, and is not told again
        tally.faults["trials lost"] += 1
    tally.faults["trials repeated"] += len(told(after)) - len(set(told(after)))
    if code and not family:
        raise SystemExit(f"{stage} failed by itself:\n{printed}")
    return code == 0


def mend_lock(clone: Clone) -> bool:
    """DVC rewrites its lock file in place, and refuses to start with a torn one: as `make repro`, delete it."""
    path = clone.path / ".dvc/tmp/rwlock"
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        json.loads(path.read_text())
        return False
    torn = path.exists()
    path.unlink(missing_ok=True)
    return torn


def kill(dvc: int, kind: str, rng: random.Random, tally: Tally) -> list[psutil.Process]:
    """Kill what `kind` says, if it is there by now; return the family that must be gone in the end."""
    try:
        family = psutil.Process(dvc).children(recursive=True)
        stage = [p for p in family if any(word.startswith("stages.") for word in p.cmdline())]
        servers = [p for p in family if "forkserver" in " ".join(p.cmdline()) and p.ppid() in {s.pid for s in stage}]
        workers = [worker for server in servers for worker in server.children()]
        targets = {
            "group": [psutil.Process(dvc), *family],
            "coordinator": stage,
            "one worker": rng.sample(workers, min(1, len(workers))),
            "all workers": workers,
            "dvc": [psutil.Process(dvc)],
            "SIGTERM": stage,
            "SIGINT": stage,
        }[kind]
        number = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}.get(kind, signal.SIGKILL)
        for process in targets:
            process.send_signal(number)
    except psutil.NoSuchProcess:  # it ended meanwhile
        targets = []
    tally.kills[kind] += bool(targets)
    return [psutil.Process(dvc), *family] if targets else []


def journal(clone: Clone, stage: str) -> bytes:
    return b"".join(path.read_bytes() for path in (clone.path / "studies").glob(f"{stage}-*.log"))


def told(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines() if b'"state":' in line and b'"op_code":6' in line]


def check(clone: Clone, expected: dict[str, str], tally: Tally) -> None:
    found = clone.results()
    tally.faults["bytes changed"] += sum(found.get(path) != digest for path, digest in expected.items())
    for stage in STAGES:
        parents = clone.statuses(stage)
        tally.faults["runs doubled"] += len(parents) - 1
        rows = len((clone.path / "results" / stage / "trials.csv").read_text().splitlines()) - 1
        tally.faults["runs missing"] += max(0, rows - parents[0].total()) + parents[0]["RUNNING"]
        tally.faults["runs doubled"] += max(0, parents[0].total() - rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = soak(Clone(Path(folder), TRIALS), arguments.kills, arguments.seed)
    print(tally.line())
    sys.exit(1 if tally.faults.total() else 0)


if __name__ == "__main__":
    main()
