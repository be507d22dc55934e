"""Both engines give the same results; workers do not outlive what started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, facts, make_params, run

from reprotune import engine, study
from reprotune.datasets import StoredDataset
from reprotune.errors import Refused
from reprotune.params import Execution


def test_auto_is_the_cores_that_the_process_may_use() -> None:
    code = "from reprotune import engine, params; print(engine.workers(params.load().execution))"
    cores = sorted(os.sched_getaffinity(0))
    for allowed in (cores[:1], cores):
        command = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {allowed}); {code}"]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert int(found.stdout) <= len(allowed)
    assert engine.workers(Execution(engine="local", workers=3, window=1, scheduler=None)) == 3


def test_dask_gives_the_same_trials(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = study.spec(make_params(single_objective__n_trials=8), "single_objective", dataset)
    with engine.started(Execution(engine="dask", workers=2, window=8, scheduler=None)) as executor:
        trials = run(declared, tmp_path / "dask", executor)
    assert facts(trials) == facts(run(declared, tmp_path / "inline"))


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(Refused, match=r"execution.engine = 'ray': must be one of local, dask"):
        engine.started(Execution(engine="ray", workers=1, window=1, scheduler=None))


def test_workers_end_when_their_coordinator_is_killed() -> None:
    code = """
import os, time
from reprotune import engine
from reprotune.params import Execution
if __name__ == "__main__":
    with engine.started(Execution(engine="local", workers=2, window=1, scheduler=None)) as executor:
        print([f.result() for f in [executor.submit(os.getpid), executor.submit(os.getpid)]], flush=True)
        time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as coordinator:
        assert coordinator.stdout is not None
        coordinator.stdout.readline()
        children = psutil.Process(coordinator.pid).children(recursive=True)
        assert children
        os.kill(coordinator.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_an_interrupted_engine_leaves_no_worker() -> None:
    with pytest.raises(KeyboardInterrupt):
        with engine.started(Execution(engine="local", workers=1, window=1, scheduler=None)) as executor:
            worker = psutil.Process(executor.submit(os.getpid).result())
            executor.submit(time.sleep, 600)
            raise KeyboardInterrupt
    _, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive
