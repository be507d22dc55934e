"""A SLURM of a test's own: munge, a controller and two nodes of one core, all of them processes of this machine."""

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from deployment import free_ports
from parts import need

NODES = ("n1", "n2")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
NodeName=n[1-2] NodeAddr=127.0.0.1 NodeHostname={host} Port=[{ports[1]}-{ports[2]}] CPUs=1 RealMemory=8000
PartitionName=usual Nodes=n[1-2] Default=YES PriorityTier=1
PartitionName=urgent Nodes=n[1-2] PriorityTier=10
"""


class Slurm:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        ports = free_ports(3)
        ports[2] = ports[1] + 1  # a node's follows the one before it
        self.folder.chmod(0o755)  # munge looks for who might read its key
        names = {"host": socket.gethostname(), "user": getpass.getuser(), "folder": self.folder, "ports": ports}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**names))
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o600)
        files = ("socket", "key-file", "pid-file", "log-file", "seed-file")
        options = [f"--{name}={self.folder / 'munge.'}{name.removesuffix('-file')}" for name in files]
        self._daemon("munged", "--foreground", "--force", *options)
        while not (self.folder / "munge.socket").exists():
            time.sleep(0.05)
        self._daemon("slurmctld", "-D", "-c")
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node)
        while self.run("sinfo", "--noheader", "--format=%D %t") != "2 idle\n":
            time.sleep(0.2)

    def _daemon(self, *command: str) -> None:
        with (self.folder / "daemons.log").open("ab") as log:
            self._daemons.append(
                subprocess.Popen(command, env=os.environ | self.variables, stdout=log, stderr=log, cwd=self.folder)
            )

    def run(self, *command: str) -> str:
        assert all(daemon.poll() is None for daemon in self._daemons), (self.folder / "daemons.log").read_text()
        environment = os.environ | self.variables
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        return done.stdout + done.stderr

    def job(self, number: str) -> dict[str, str]:
        """What SLURM says of it."""
        shown = self.run("scontrol", "show", "job", number)
        return dict(word.partition("=")[::2] for word in shown.split())

    def state(self, number: str, *after: str) -> str:
        """Of a job, once it is neither running nor in one of the states `after`."""
        while (state := self.job(number)["JobState"]) in ("RUNNING", "COMPLETING", *after):
            time.sleep(0.2)
        return state

    def jobs(self) -> list[str]:
        return self.run("squeue", "--noheader", "--format=%i").split()

    def end(self) -> None:
        """All that is of it: the daemons, and the jobs with what keeps them, which are nobody's children."""
        ours = self.variables["SLURM_CONF"]
        for process in psutil.process_iter(["cwd", "environ"]):
            if process.info["cwd"] == str(self.folder) or (process.info["environ"] or {}).get("SLURM_CONF") == ours:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        for daemon in self._daemons:
            daemon.wait()


@contextmanager
def started(folder: Path) -> Iterator[Slurm]:
    need("munged slurmctld slurmd sbatch", "slurm-wlm munge")
    slurm = Slurm(folder)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.end()
