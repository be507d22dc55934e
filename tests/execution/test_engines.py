"""Both engines give the same results; workers do not outlive what started them."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from conftest import ROOT, facts, make_execution, make_params, run
from tasks import answer, die_as_it_answers_unless_alone, die_unless_alone, lack_unless_alone

from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError, is_shortage
from reprotune.execution import engines, local_pool
from reprotune.execution.dask_pool import DaskPool
from reprotune.execution.pool import Shortage, WorkerDied
from reprotune.search.study import declaration


def test_auto_is_the_cores_that_the_process_may_use() -> None:
    cores = os.sched_getaffinity(0)
    try:
        for allowed in ({min(cores)}, cores):
            os.sched_setaffinity(0, allowed)
            assert 1 <= engines.workers(make_execution(workers="auto")) <= len(allowed)
    finally:
        os.sched_setaffinity(0, cores)
    assert engines.workers(make_execution(workers=3)) == 3


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UserError, match=r"execution.engine = 'ray': must be one of local, dask"):
        engines.started(make_execution(engine="ray"))


@pytest.mark.parametrize("name", engines.ENGINES)
def test_workers_end_when_their_coordinator_is_killed(name: str) -> None:
    code = f"""
import os, time
from reprotune.execution import engines
from reprotune.params import Execution
if __name__ == "__main__":
    chosen = Execution(engine="{name}", workers=1, window=1, trial_timeout=None, scheduler=None)
    with engines.started(chosen) as executor:
        print(executor.submit(os.getpid).result(), flush=True)
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


def test_a_server_that_still_imports_ends_with_its_coordinator(tmp_path: Path) -> None:
    """Which may have been refused: else what reads its output would wait for seconds."""
    (tmp_path / "takes_long.py").write_text("import time; time.sleep(90)")
    code = f"""
from reprotune.execution import local_pool
from reprotune.params import Execution
if __name__ == "__main__":
    with local_pool.started(Execution.model_validate({make_execution().model_dump()}), 1, ["takes_long"]):
        print("refused")
"""
    variables = os.environ | {"PYTHONPATH": str(tmp_path)}
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=variables, text=True, timeout=60)
    assert printed == "refused\n"


@pytest.mark.parametrize("name", engines.ENGINES)
def test_the_same_trials_by_workers_that_an_interruption_ends(
    name: str, dataset: StoredDataset, tmp_path: Path
) -> None:
    """And that nothing beyond this machine can reach."""
    declared = declaration.from_params(make_params(single_objective__n_trials=8), "single_objective", dataset)
    with pytest.raises(KeyboardInterrupt):
        with engines.started(make_execution(engine=name)) as executor:
            trials = run(declared, tmp_path / name, executor)
            family = [psutil.Process(), *psutil.Process().children(recursive=True)]
            listening = [c for process in family for c in process.net_connections("inet") if c.status == "LISTEN"]
            worker = psutil.Process(executor.submit(os.getpid).result())
            executor.submit(time.sleep, 600)
            raise KeyboardInterrupt
    _, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive
    assert facts(trials) == facts(run(declared, tmp_path / "inline"))
    assert {connection.laddr.ip for connection in listening} <= {"127.0.0.1", "::1"}
    assert bool(listening) == (name == "dask")


def test_a_temporary_folder_may_have_a_long_path(tmp_path: Path) -> None:
    """Longer than a socket's may be, as a cluster's job has it."""
    folder = tmp_path / ("job" * 40)
    folder.mkdir()
    code = f"""
import os
from reprotune.execution import engines
from reprotune.params import Execution
if __name__ == "__main__":
    with engines.started(Execution.model_validate({make_execution().model_dump()})) as executor:
        print(executor.submit(os.getpid).result() != os.getpid())
"""
    variables = os.environ | {"TMPDIR": str(folder)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.stderr) == ("True\n", "")


def test_it_may_not_where_no_shorter_one_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_pool, "_SHORT", ())
    monkeypatch.setattr(tempfile, "tempdir", "/" + 95 * "x")
    with pytest.raises(
        UserError, match=r"^environment: TMPDIR = '/x{95}': must be 71 bytes or less, for a socket's path$"
    ):
        local_pool._place_sockets()


def test_what_a_terminal_sends_to_all_does_not_end_a_worker() -> None:
    with engines.started(make_execution(workers=1)) as pool:
        worker = pool.submit(os.getpid).result()
        for number in (signal.SIGINT, signal.SIGHUP):
            os.kill(worker, number)
            assert pool.submit(os.getpid).result() == worker


PASSING = (
    MemoryError("as told"),
    OSError(errno.EIO, "as told"),
    OSError(errno.ETIMEDOUT, "as told"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
)


def test_a_pool_that_breaks_while_a_worker_starts_costs_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    with engines.started(make_execution(workers=1)) as pool:
        assert isinstance(pool, local_pool.LocalPool)
        broken = [OSError("handle is closed"), OSError(errno.EBADF, "bad")]
        spawn = ProcessPoolExecutor._spawn_process  # type: ignore[attr-defined]

        def spawned(processes: ProcessPoolExecutor) -> None:
            if broken:
                raise broken.pop()
            spawn(processes)

        monkeypatch.setattr(ProcessPoolExecutor, "_spawn_process", spawned)
        futures = [pool.submit(abs, -number) for number in range(4)]
        assert [future.result() for future in futures] == [0, 1, 2, 3]
        assert not broken


def test_a_dead_worker_costs_no_other_task(tmp_path: Path) -> None:
    with engines.started(make_execution(workers=2)) as pool:
        futures = [pool.submit(answer, number) for number in range(3)]
        futures += [pool.submit(die_unless_alone, tmp_path, number) for number in (1, 2, 3)]
        futures += [pool.submit(answer, number) for number in range(3)]
        assert [future.result() for future in futures[:4]] == [0, 1, 2, 1]
        with pytest.raises(WorkerDied, match="died 3 times"):
            futures[4].result()
        assert [future.result() for future in futures[5:]] == [3, 0, 1, 2]
        again = pool.submit(answer, 7)
        assert [again.result(), again.result()] == [7, 7]


@pytest.mark.parametrize("timeout", [None, 60])
def test_a_worker_that_dies_as_it_answers_costs_no_task(tmp_path: Path, timeout: float | None) -> None:
    """Its pool waits for the rest of the answer, and so do its other workers."""
    with engines.started(make_execution(workers=2)) as pool:
        tasks: list[Any] = [answer, partial(die_as_it_answers_unless_alone, tmp_path), answer, answer]
        futures = [pool.submit(task, number) for number, task in enumerate(tasks)]
        assert [future.result(timeout) for future in futures] == [0, 1, 2, 3]
        pool.submit(die_as_it_answers_unless_alone, tmp_path, 4)
        while not (tmp_path / "4").exists():
            time.sleep(0.01)
        pool.drop()
        assert pool.submit(answer, 5).result(timeout) == 5


@pytest.mark.parametrize("name", ["local", pytest.param("dask", marks=pytest.mark.cluster)])
def test_what_lacked_memory_or_a_file_is_run_again(name: str, tmp_path: Path) -> None:
    with engines.started(make_execution(engine=name, workers=2)) as pool:
        futures = [pool.submit(answer, number) for number in range(3)]
        futures += [pool.submit(lack_unless_alone, tmp_path, 10 + i, error) for i, error in enumerate(PASSING)]
        lacking, last = [pool.submit(lack_unless_alone, tmp_path, 2, PASSING[0]), pool.submit(answer, 3)]
        assert [future.result() for future in futures] == [0, 1, 2, 10, 11, 12, 13]
        with pytest.raises(Shortage, match=r"^MemoryError: as told; 3 times, running nothing else$"):
            lacking.result()
        assert last.result() == 3


def test_a_shortage_is_told_from_an_error() -> None:
    with pytest.raises(RuntimeError) as lacking:
        torch.empty(2**45, dtype=torch.uint8)
    assert all(is_shortage(error) for error in (*PASSING, lacking.value))
    with pytest.raises(RuntimeError) as wrong:
        torch.ones(2) @ torch.ones(3)
    assert not any(is_shortage(error) for error in (wrong.value, TimeoutError(), ValueError("out of memory")))


def test_a_task_that_hangs_is_given_up(tmp_path: Path) -> None:
    with engines.started(make_execution(workers=2)) as pool:
        hanging = pool.submit(time.sleep, 600)
        others = [pool.submit(answer, number) for number in range(4)]
        with pytest.raises(TimeoutError):
            hanging.result(timeout=0.5)
        assert [future.result() for future in others] == [0, 1, 2, 3]


def test_a_timeout_begins_with_the_task_and_not_in_the_queue() -> None:
    """Which a trial that goes on beyond its rung waits in, behind others that began later."""
    with engines.started(make_execution(workers=1)) as pool:
        assert pool.submit(answer, 0).result() == 0
        before = [pool.submit(time.sleep, 0.4) for _ in range(6)]
        assert pool.submit(answer, 1).result(timeout=2) == 1
        assert [future.result(timeout=2) for future in before] == [None] * 6


def test_what_hangs_before_a_task_in_the_queue_is_given_up() -> None:
    with engines.started(make_execution(workers=1)) as pool:
        assert pool.submit(answer, 0).result() == 0
        hanging, between, last = (pool.submit(*work) for work in ((time.sleep, 600), (answer, 1), (answer, 2)))
        assert last.result(timeout=2) == 2
        with pytest.raises(TimeoutError):
            hanging.result(timeout=2)
        assert between.result(timeout=2) == 1


@pytest.mark.parametrize("name", ["local", pytest.param("dask", marks=pytest.mark.cluster)])
def test_what_is_dropped_is_not_in_the_way(name: str) -> None:
    """As trials beyond a study's end would be in that of its finalists."""
    with engines.started(make_execution(engine=name, workers=1)) as pool:
        dropped = [pool.submit(time.sleep, seconds) for seconds in (1, 600, 600)]
        pool.drop()
        assert pool.submit(answer, 1).result(timeout=20) == 1
        assert not any(future.done() for future in dropped)


def test_an_error_of_a_task_is_the_tasks_own() -> None:
    with engines.started(make_execution(workers=1)) as pool:
        with pytest.raises(ZeroDivisionError):
            pool.submit(divmod, 1, 0).result()
        assert pool.submit(answer, 1).result() == 1


def test_workers_that_cannot_be_started_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose /dev/shm is read-only."""

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(local_pool, "ProcessPoolExecutor", refused)
    with pytest.raises(UserError, match=r"no worker processes can be started \(.*Read-only.*\); .* /dev/shm"):
        with engines.started(make_execution(workers=1)):
            pass


@pytest.mark.parametrize(("cluster", "clock"), [(None, time.time), ("of this machine", time.monotonic)])
def test_a_pools_clock_is_one_that_its_workers_share(cluster: str | None, clock: object) -> None:
    """Only on one machine is there one that no correction of the time of day touches."""
    assert DaskPool(SimpleNamespace(cluster=cluster)).clock is clock
    assert local_pool.LocalPool.clock is time.monotonic
