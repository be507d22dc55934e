"""Where the time of a study goes: `python -m benchmarks.breakdown STAGE`, in a folder as a stage finds it.

Runs the stage in this process, with a clock around each of the coordinator's parts; prints a JSON object of seconds.
A part that calls another is stopped meanwhile, so the parts add up. `cpu` has what of them the processor worked.
"""

import functools
import importlib
import json
import sys
import time
from collections import defaultdict
from typing import Any

import psutil

from reprotune.pipeline import finalists, run_study
from reprotune.results import write
from reprotune.search.study import window
from reprotune.search.study.journal import Journal
from reprotune.search.study.proposals import Proposals
from reprotune.tracking import parent_run

PARTS = (
    ("ask", Proposals, "propose"),
    ("journal", Journal, "ask"),
    ("journal", Journal, "tell"),
    ("opening MLflow", parent_run, "_begun"),
    ("MLflow, a run a trial", parent_run.ParentRun, "log_trial"),
    ("MLflow, the study's own run", run_study, "_log_whole"),
    ("result files", write, "write_single_objective"),
    ("result files", write, "write_multi_objective"),
    ("waiting for workers", window, "awaited"),
    ("waiting for workers", finalists, "awaited"),
)


class Clock:
    """Adds the time from one switch to the next to the part that was on."""

    def __init__(self) -> None:
        self.wall, self.cpu = defaultdict[str, float](float), defaultdict[str, float](float)
        self._on = ["start and the rest"]
        self._since = (psutil.Process().create_time(), 0.0)

    def switch(self) -> None:
        now = (time.time(), time.process_time())
        self.wall[self._on[-1]] += now[0] - self._since[0]
        self.cpu[self._on[-1]] += now[1] - self._since[1]
        self._since = now

    def around(self, part: str, owner: Any, name: str) -> None:
        """Replace `owner.name` by what is the same, timed."""
        whole = getattr(owner, name)

        @functools.wraps(whole)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.switch()
            self._on.append(part)
            try:
                return whole(*args, **kwargs)
            finally:
                self.switch()
                self._on.pop()

        setattr(owner, name, timed)


def main() -> None:
    clock, trained = Clock(), []
    for part in PARTS:
        clock.around(*part)
    told = Proposals.tell

    def noting(self: Any, number: int, result: Any) -> None:
        trained.append(result.seconds)
        told(self, number, result)

    Proposals.tell = noting  # type: ignore[method-assign]
    importlib.import_module(f"stages.{sys.argv[1]}").main()
    clock.switch()
    print(json.dumps({"wall": clock.wall, "cpu": clock.cpu, "trained": sum(trained), "trials": len(trained)}))


if __name__ == "__main__":
    main()
