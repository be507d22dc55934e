"""SLURM, as docs/cluster.md says it: the same trials as on one machine, whatever becomes of the jobs."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dask
import pytest
import slurm as slurms
from clone import Clone
from conftest import ROOT, facts, make_execution, run
from deployment import deployed, spec
from jobs import HANGING, hangs_at_first
from parts import documented, need
from slurm import Slurm

from reprotune.data.stored import StoredDataset
from reprotune.execution import engines
from reprotune.search.study import window

pytestmark = pytest.mark.cluster

PAGE = "docs/cluster.md"
MINE = (("cert", "me.crt"), ("key", "me.key"))
TLS = {f"{role}.{kind}": file for role in ("client", "scheduler", "worker") for kind, file in MINE}
TLS["ca-file"] = "ca.crt"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurms.started(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@contextmanager
def jobqueue(slurm: Slurm, folder: Path) -> Iterator[str]:
    """The page's certificates and the page's program: the address of its scheduler."""
    need(modules="dask_jobqueue")
    subprocess.run([sys.executable, "-c", documented(PAGE, "made = ", {})], cwd=folder, check=True)
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests/cluster")))
    ours = {"/path/to/clone": path, "login.example.org": "127.0.0.1", "8786": "0", "_jobs=16": "_jobs=2", "4GB": "2GB"}
    tls = {f"distributed.comm.tls.{name}": str(folder / file) for name, file in TLS.items()}
    variables = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": path for name, path in tls.items()}
    with subprocess.Popen(
        [sys.executable, "-c", documented(PAGE, "cluster = SLURMCluster(", ours)],
        cwd=folder,
        env=os.environ | slurm.variables | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout
        told = ""
        while not told.endswith("ends it"):
            assert program.poll() is None
            told += program.stdout.read(1)
        with dask.config.set(tls):
            yield told.removeprefix("execution.scheduler: ").partition(";")[0]
        program.communicate("\n")
    assert program.returncode == 0


def cancel(slurm: Slurm, job: str) -> None:
    slurm.run("scancel", job)


def preempt(slurm: Slurm, job: str) -> None:
    node = slurm.job(job)["NodeList"]
    slurm.run("sbatch", "--partition=urgent", f"--nodelist={node}", "--output=/dev/null", "--wrap=sleep 5")


def time_out(slurm: Slurm, job: str) -> None:
    slurm.run("scontrol", "update", f"JobId={job}", "EndTime=now+1")


ENDS = {cancel: "CANCELLED", preempt: "PENDING", time_out: "TIMEOUT"}


def disturb(slurm: Slurm, folder: Path, seen: list[str]) -> None:
    """End the jobs in which trials hang, each in another way."""
    for number, how in zip(HANGING, ENDS, strict=True):
        while not (folder / str(number)).exists():
            time.sleep(0.1)
        job = (folder / str(number)).read_text()
        how(slurm, job)
        seen.append(slurm.state(job))


def test_jobs_that_are_cancelled_preempted_or_out_of_time_cost_nothing(
    slurm: Slurm, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each amid a trial; dask-jobqueue submits others for them."""
    declared = spec(dataset)
    expected = facts(run(declared, tmp_path / "inline"))
    monkeypatch.setattr(window, "run_trial", partial(hangs_at_first, tmp_path))
    seen: list[str] = []
    with jobqueue(slurm, tmp_path) as address:
        assert address.startswith("tls://")
        threading.Thread(target=disturb, args=(slurm, tmp_path, seen), daemon=True).start()
        with engines.started(make_execution(engine="dask", scheduler=address)) as pool:
            pool.share(declared.dataset.shared_files, declared.device)
            found = run(declared, tmp_path / "slurm", pool)
    assert facts(found) == expected
    assert seen == list(ENDS.values())
    while slurm.jobs():
        time.sleep(0.2)


def submitted(slurm: Slurm, clone: Clone, which: str, changes: dict[str, str]) -> str:
    """A script of the page's, given to `sbatch`: the job's number."""
    script = clone.path.parent / "job.sh"
    script.write_text(documented(PAGE, which, changes))
    output = f"--output={clone.path.parent}/%j.log"
    return clone.run("sbatch", "--parsable", output, str(script), variables=slurm.variables).strip()


STAGE = (sys.executable, "-m", "stages.single_objective")


def found_anew(clone: Clone) -> dict[str, str]:
    """The results of the stage, started by hand."""
    for name in ("results", "studies"):
        shutil.rmtree(clone.path / name)
    clone.run(*STAGE)
    return clone.results()


def test_the_job_scripts_give_the_same_bytes(slurm: Slurm, tmp_path: Path) -> None:
    """The stage itself as a job, which is preempted on its way; and an array of workers."""
    (tmp_path / "clone").mkdir()
    clone = Clone(tmp_path / "clone")
    shutil.rmtree(clone.path / "results")
    ours = {"/path/to/clone": str(clone.path), "$PWD/.venv/bin": str(Path(sys.executable).parent)}
    job = submitted(
        slurm, clone, "dvc repro", ours | {"dvc repro": "dvc repro single_objective", "32G": "2G", "16": "1"}
    )
    log = tmp_path / f"{job}.log"
    while not log.exists() or "[3/" not in log.read_text():
        assert slurm.job(job)["JobState"] in ("PENDING", "RUNNING")
        time.sleep(0.1)
    preempt(slurm, job)
    assert slurm.state(job) == "PENDING"
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # else SLURM waits for two minutes
    assert slurm.state(job, "PENDING") == "COMPLETED", log.read_text()
    as_a_job = clone.results()

    with deployed(tmp_path, workers=0) as deployment:
        ours = {"/path/to/clone": str(ROOT), ".venv/bin/python": sys.executable, "1-16": "1-2", "4G": "2G"}
        array = submitted(
            slurm, clone, "-m dask worker tls", ours | {"tls://login.example.org:8786": deployment.address}
        )
        clone.change("execution", engine="dask", scheduler=deployment.address)
        by_an_array = found_anew(clone)
        cancel(slurm, array)
    clone.change("execution", engine="local", scheduler=None)
    assert as_a_job == by_an_array == found_anew(clone)
    assert not clone.refused.exists()
