"""Optuna's dashboard of all studies in studies/, also of those that run; nothing can be changed by it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from reprotune import cli
from reprotune.errors import UserError

_INSTALL = "uv pip install --python .venv/bin/python --group dashboard --constraint requirements.txt"


class Journals(BaseJournalBackend):
    """All journals of a folder as one storage, those that are new included. It is read only.

    In each of them, studies and trials are numbered from 0: here, in the order in which they are read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journals: dict[Path, JournalFileBackend] = {}
        self._files: dict[Path, int] = {}  # its inode: `dvc repro -f` and `make retry` put a new journal in its place
        self._read: dict[Path, int] = {}  # how many of its records
        self._numbers: dict[tuple[Path, str], list[int]] = {}  # of a journal's studies or trials → of ours
        self._counts = {"study_id": 0, "trial_id": 0}
        self._records: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
        for path in sorted(self._folder.glob("*.log")):
            inode = path.stat().st_ino
            if self._files.get(path, inode) != inode:
                self._forget(path)
            self._files[path] = inode
            journal = self._journals.setdefault(path, JournalFileBackend(str(path)))
            for record in journal.read_logs(self._read.get(path, 0)):
                self._read[path] = self._read.get(path, 0) + 1
                self._records.append(self._renumbered(path, record))
        return self._records[log_number_from:]

    def _renumbered(self, path: Path, record: dict[str, Any]) -> dict[str, Any]:
        ours = {key: self._numbers[path, key][record[key]] for key in self._counts.keys() & record.keys()}
        if made := {0: "study_id", 4: "trial_id"}.get(record["op_code"]):  # as Optuna numbers these operations
            self._numbers.setdefault((path, made), []).append(self._counts[made])
            self._counts[made] += 1
        return record | ours

    def _forget(self, path: Path) -> None:
        studies, _ = (self._numbers.pop((path, made), []) for made in self._counts)
        self._records += ({"op_code": 1, "worker_id": "", "study_id": study} for study in studies)  # it is deleted
        del self._journals[path]
        self._read.pop(path, None)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError(f"{self._folder}: is only shown here")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="default: 8080")
    port = parser.parse_args().port
    if port not in range(2**16):
        raise UserError(f"--port {port}: must be 0 to {2**16 - 1}")
    try:
        from optuna_dashboard import run_server
    except ImportError:
        raise UserError(f"optuna-dashboard is not installed: {_INSTALL}") from None
    run_server(JournalStorage(Journals(Path("studies"))), host="127.0.0.1", port=port)


if __name__ == "__main__":
    cli.run(main)
