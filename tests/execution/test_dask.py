"""Dask, started by hand: the same trials as on one machine, whatever becomes of the workers."""

import gc
import operator
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clone import Clone
from conftest import ROOT, facts, make_execution, run
from deployment import WORKER, Deployment, deployed, kill, search, spec, watched
from distributed import Client
from tasks import failing, hangs_once, killed_if_wide

from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.execution import dask_client, engines
from reprotune.search.study import window
from reprotune.search.trial import Result, Task


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("deployment"), workers=2) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One that has no worker yet."""
    with deployed(tmp_path_factory.mktemp("scheduler"), workers=0) as deployment:
        yield deployment


def changed(folder: Path, module: str) -> Path:
    """The project with nothing but a comment in a module, in `folder`."""
    shutil.copytree(ROOT / "reprotune", folder / "reprotune")
    (folder / f"reprotune/{module}.py").write_text("# changed\n")
    return folder


UNFIT = {
    "code and libraries": r"differs from its coordinator "
    r"\(MKL_CBWR: COMPATIBLE, not AVX2; reprotune/pipeline/verify.py: [0-9a-f]{12}, not [0-9a-f]{12}\)",
    "threads": r"has 2 threads; start it with --nthreads 1",
    "no code": r"cannot load this reprotune \(No module named 'reprotune'\); start it where it can",
    "older code": r"cannot load this reprotune \(module '.*dask_worker' has no .*\); start it where it can",
}


@pytest.mark.parametrize("what", UNFIT)
def test_an_unfit_worker_is_refused(what: str, scheduler: Deployment, dataset: StoredDataset, tmp_path: Path) -> None:
    """In one line that names it, and nothing is told."""
    worker = {
        "code and libraries": lambda: scheduler.start_worker(
            path=(changed(tmp_path, "pipeline/verify"),), variables={"MKL_CBWR": "COMPATIBLE"}
        ),
        "older code": lambda: scheduler.start_worker(path=(changed(tmp_path, "execution/dask_worker"),)),
        "threads": lambda: scheduler.start_worker(*WORKER, "--nthreads", "2"),
        "no code": lambda: scheduler.start_worker("--nthreads", "1", path=()),
    }[what]()
    declared = spec(dataset)
    with pytest.raises(UserError, match=rf"^worker tcp://127.0.0.1:[0-9]+: {UNFIT[what]}$"):
        search(declared, scheduler, tmp_path)
    kill(worker)
    assert b'"told"' not in (tmp_path / declared.journal).read_bytes()


@pytest.mark.cluster
def test_workers_join_leave_and_are_killed(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = replace(spec(dataset), n_trials=20)
    with deployed(tmp_path, workers=1) as deployment:
        first = deployment.start_worker()
        events: dict[int, Callable[[], Any]] = {
            6: lambda: kill(first),
            10: deployment.start_worker,
            12: deployment.start_worker,
            15: deployment.workers[0].terminate,  # it leaves as it should
        }
        found = watched(declared, deployment, tmp_path, events)
    assert facts(found) == facts(run(declared, tmp_path / "inline"))


@pytest.mark.cluster
def test_a_scheduler_that_is_lost_ends_the_study_in_one_line(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset)
    with deployed(tmp_path, workers=1) as deployment:
        with pytest.raises(UserError, match=r"^the scheduler at tcp://\S+ was lost; .* `dvc repro` goes on") as refused:
            watched(declared, deployment, tmp_path, {7: lambda: kill(deployment.scheduler)})
        assert "\n" not in str(refused.value)
        assert (tmp_path / declared.journal).read_bytes().count(b'"told"') >= 3
        deployment.start_scheduler()
        deployment.start_worker()
        assert facts(search(declared, deployment, tmp_path)) == facts(run(declared, tmp_path / "inline"))


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("work", "reason"), [(killed_if_wide, "WorkerDied: its worker died 3 times"), (hangs_once, "TimeoutError: took")]
)
def test_a_trial_whose_worker_dies_or_hangs_fails(
    work: Callable[[Task], Result],
    reason: str,
    deployment: Deployment,
    dataset: StoredDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same trials as with local workers, and no others."""
    declared = replace(spec(dataset), n_trials=8, trial_timeout=5.0 if work is hangs_once else None)
    expected = facts(run(declared, tmp_path / "undisturbed"))
    monkeypatch.setattr(window, "run_trial", work)
    trials = search(declared, deployment, tmp_path / "disturbed")
    failed = failing(work, trials)
    assert 0 < len(failed) < 8
    assert {trial.number for trial in trials if trial.result.reason.startswith(reason)} == failed
    assert all(fact == expected[fact[0]] for fact in facts(trials[:4]) if fact[0] not in failed)


def test_a_trial_that_hangs_is_not_in_the_way_of_one_that_waits_for_its_worker(scheduler: Deployment) -> None:
    worker = scheduler.start_worker()
    with engines.started(make_execution(engine="dask", scheduler=scheduler.address)) as pool:
        hanging, waiting = pool.submit(time.sleep, 600), pool.submit(operator.add, 1, 1)
        assert waiting.result(timeout=2) == 2
        with pytest.raises(TimeoutError):
            hanging.result(timeout=600)
    kill(worker)


def test_a_scheduler_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_client, "_PATIENCE", 1)
    line = r"^params.yaml: execution.scheduler = 'tcp://127.0.0.1:9': cannot be reached within 1 s \(.*\)$"
    with pytest.raises(UserError, match=line) as refused:
        with engines.started(make_execution(engine="dask", scheduler="tcp://127.0.0.1:9")):
            pass
    assert "\n" not in str(refused.value)
    assert not any(type(left) is Client for left in gc.get_objects())


@pytest.mark.parametrize(
    ("address", "insecure", "allowed"),
    [
        ("tcp://127.0.0.1:8786", False, True),
        ("tcp://localhost:8786", False, True),
        ("tcp://[::1]:8786", False, True),
        ("tls://192.0.2.1:8786", False, True),
        ("tcp://192.0.2.1:8786", False, False),
        ("tcp://localhost.example.org:8786", False, False),
        ("tcp://192.0.2.1:8786", True, True),
        ("inproc://192.0.2.1/1", True, False),
        ("192.0.2.1:8786", True, False),
    ],
)
def test_nothing_unencrypted_leaves_this_machine(address: str, insecure: bool, allowed: bool) -> None:
    with (
        nullcontext() if allowed else pytest.raises(UserError, match=r"^params.yaml: execution.scheduler = .* must be")
    ):
        assert dask_client.checked(address, insecure) == address


STAGES = ("single_objective", "multi_objective", "evaluate", "report")


@pytest.mark.cluster
def test_the_stages_write_the_same_bytes(tmp_path: Path) -> None:
    """The real commands, interrupted twice, on workers that see nothing of the clone."""
    (tmp_path / "clone").mkdir()
    clone = Clone(tmp_path / "clone")
    python = (sys.executable, "-m")
    clone.run(*python, "stages.download")
    for stage in STAGES:
        clone.run(*python, f"stages.{stage}")
    expected = clone.results()
    for name in ("results", "studies"):
        shutil.rmtree(clone.path / name)
    with deployed(tmp_path, workers=2) as deployment:
        clone.change("execution", engine="dask", scheduler=deployment.address)
        started = clone.start(*python, "stages.single_objective")
        until_trial(started, 2)
        started.send_signal(signal.SIGINT)
        assert started.communicate()[0].endswith("`dvc repro` goes on from here\n")
        assert started.returncode == 130
        started = clone.start(*python, "stages.single_objective")
        until_trial(started, 4)
        kill(deployment.scheduler)
        last = started.communicate()[0].splitlines()[-1]
        assert last.startswith(f"error: the scheduler at {deployment.address} was lost; ")
        assert started.returncode == 2
        deployment.start_scheduler()
        deployment.start_worker()
        for stage in STAGES:
            clone.run(*python, f"stages.{stage}")
        assert len(deployment.datasets) == 1
    assert clone.results() == expected


def until_trial(stage: subprocess.Popen[str], number: int) -> None:
    assert stage.stdout
    printed = []
    for line in stage.stdout:
        printed.append(line)
        if line.startswith(f"[{number}/"):
            return
    raise AssertionError("".join(printed))
