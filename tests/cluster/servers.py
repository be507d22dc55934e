"""PostgreSQL and `mlflow server`, each in a process of its own on loopback, and in a folder of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployment import free_ports
from parts import need

PASSWORD = "correct-horse"


class Postgres:
    """Started, stopped and started again; it asks for a password."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        (self._port,) = free_ports(1)
        self._user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        if self._user:
            shutil.chown(folder, self._user)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        options = (f"--pwfile={folder / 'password'}", "--username=team", "--auth=scram-sha-256", "--no-sync")
        self._run("initdb", f"--pgdata={folder / 'data'}", *options)

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), *options]
        subprocess.run(command, cwd=self._folder, user=self._user, check=True, capture_output=True)

    def address(self, password: str = PASSWORD) -> str:
        return f"postgresql://team:{password}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        log = f"--log={self._folder / 'log'}"
        self._run("pg_ctl", "start", "--wait", f"--pgdata={self._folder / 'data'}", log, f"--options={options}")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate", f"--pgdata={self._folder / 'data'}")


@contextmanager
def postgres() -> Iterator[Postgres]:
    need("pg_ctlcluster", "postgresql", modules="psycopg")
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    with tempfile.TemporaryDirectory() as folder:  # which another user can reach, as a test's is not
        found = Postgres(Path(folder), programs)
        found.start()
        try:
            yield found
        finally:
            found.stop()
