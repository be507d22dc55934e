"""A Dask deployment as a person starts one by hand: `dask scheduler`, `dask worker`, each in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
from conftest import ROOT, make_execution, make_params, run

from reprotune.data.stored import StoredDataset
from reprotune.execution import engines
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial

Process = subprocess.Popen[bytes]
WORKER = ("--nthreads", "1", "--preload-nanny", "reprotune")  # as docs/cluster.md says


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found


class Deployment:
    """A scheduler on loopback, and its workers, who work in folders of their own and see no file of a coordinator's."""

    def __init__(self, folder: Path, options: tuple[str, ...] = (), protocol: str = "tcp") -> None:
        self._folder, self._options, self._protocol = folder, options, protocol
        self._processes: list[Process] = []
        self.workers: list[Process] = []
        self.address = ""

    def start_scheduler(self) -> None:
        """On a port that is free, or on the one that it had before."""
        file = self._folder / "scheduler.json"
        file.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        self.scheduler = self._start(
            *("scheduler", "--protocol", self._protocol, "--port", port, "--scheduler-file", str(file))
        )
        while True:
            assert self.scheduler.poll() is None, self.log("scheduler")
            try:
                self.address = json.loads(file.read_text())["address"]
                return
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.05)

    def start_worker(
        self,
        *options: str,
        path: tuple[Path, ...] = (ROOT, ROOT / "tests"),
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Process:
        """A worker with its nanny. path: where it finds the project."""
        where = {"PYTHONPATH": os.pathsep.join(map(str, path))}
        folder = ("--local-directory", str(self._folder / "scratch"))
        self.workers.append(
            self._start("worker", self.address, *(options or WORKER), *folder, variables={**where, **variables})
        )
        return self.workers[-1]

    def _start(self, role: str, *options: str, variables: Mapping[str, str] = MappingProxyType({})) -> Process:
        command = [sys.executable, "-m", "dask", role, *options, "--host", "127.0.0.1", "--no-dashboard"]
        # What a test's process holds its libraries to is not what a person's shell does.
        environment = {key: value for key, value in os.environ.items() if key in ("HOME", "LANG", "PATH")}
        log = (self._folder / f"{role}.log").open("ab")
        with log:
            process = subprocess.Popen(
                [*command, *self._options],
                cwd=self._folder,
                env=environment | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"} | dict(variables),
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def log(self, role: str) -> str:
        return (self._folder / f"{role}.log").read_text()

    @property
    def datasets(self) -> list[Path]:
        """Those that the workers were sent, and keep."""
        return [path for path in self._folder.glob("scratch/dask-scratch-space/reprotune/*") if path.is_dir()]

    def end(self) -> None:
        for process in self._processes:
            kill(process)


def kill(process: Process) -> None:
    """The process and what it has started, as when its machine is switched off."""
    if process.poll() is None:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for member in reversed(family):
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()


@contextmanager
def deployed(folder: Path, workers: int, options: tuple[str, ...] = (), protocol: str = "tcp") -> Iterator[Deployment]:
    deployment = Deployment(folder, options, protocol)
    try:
        deployment.start_scheduler()
        for _ in range(workers):
            deployment.start_worker()
        yield deployment
    finally:
        deployment.end()


def spec(dataset: StoredDataset) -> StudySpec:
    return declaration.from_params(make_params(single_objective__n_trials=10), "single_objective", dataset)


def search(declared: StudySpec, at: Deployment, folder: Path) -> list[Trial]:
    with engines.started(make_execution(engine="dask", scheduler=at.address)) as pool:
        pool.share(declared.dataset.shared_files, declared.device)
        return run(declared, folder, pool)


class Watched(Executor):
    """Something happens when a task is submitted: how many were before → what."""

    def __init__(self, pool: Executor, events: Mapping[int, Callable[[], Any]]) -> None:
        self._pool, self._events, self._submitted = pool, events, 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._events.get(self._submitted, lambda: None)()
        self._submitted += 1
        return self._pool.submit(fn, *args, **kwargs)


def watched(declared: StudySpec, at: Deployment, folder: Path, events: Mapping[int, Callable[[], Any]]) -> list[Trial]:
    with engines.started(make_execution(engine="dask", scheduler=at.address)) as pool:
        pool.share(declared.dataset.shared_files, declared.device)
        return run(declared, folder, Watched(pool, events))


@contextmanager
def mlflow_server(
    backend: str, artifacts: str, port: int, log: Path, variables: Mapping[str, str] = MappingProxyType({})
) -> Iterator[subprocess.Popen[bytes]]:
    """A server of one worker, whose artifacts go through it."""
    stores = ("--backend-store-uri", backend, "--artifacts-destination", artifacts)
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    own = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | dict(variables)
    own["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # five processes more
    with log.open("ab") as file:
        command = [sys.executable, "-m", "mlflow", "server", *stores, *where]
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=log.parent, env=own)
    try:
        while not _healthy(port):
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
        yield process
    finally:
        kill(process)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
