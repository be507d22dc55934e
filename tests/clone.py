"""A clone of the project with short studies, in which its real commands are run."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from conftest import ROOT, SPACE, committed
from mlflow import MlflowClient
from ruamel.yaml import YAML

from reprotune.artifacts import file_digest

TRIALS = 8


ASKS = "import socket; socket.create_connection(('example.org', 80))"


def offline(refused: Path) -> dict[str, str]:
    """A user's variables, on a machine without a network; what is asked of one nevertheless is told in `refused`.

    Without those that other tests in this process may have set, and those that keep MLflow from reporting anyway.
    """
    dropped = ("CI", "DVC_ROOT", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST")
    found = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", *dropped))}
    path = os.pathsep.join(filter(None, (str(ROOT / "tests/offline"), found.get("PYTHONPATH"))))
    return found | {"PYTHONPATH": path, "REFUSED": str(refused)}


class Clone:
    """The project's files in a git repository of their own, with short studies."""

    def __init__(self, path: Path, trials: int = TRIALS) -> None:
        self.path, self._trials = path, trials
        self.refused = path / ".git/refused"  # where git does not see it
        self._imported = path / ".git/imported"
        files = self._git("-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        for name in files:
            if (ROOT / name).exists():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path / name)
        for name in files:  # what a user may have changed and run
            if name in {"params.yaml", "metrics.json"} or name.startswith("results/"):
                (path / name).write_text(committed(name))
        self._shorten()
        self._git("init", "-q")
        self.commit("The project")

    def _git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.path, check=True, capture_output=True, text=True).stdout

    def commit(self, message: str) -> None:
        self._git("add", "-A")
        self._git("commit", "-q", "-m", message)

    def _shorten(self) -> None:
        yaml = YAML()
        params = yaml.load(self.path / "params.yaml")
        params["data"]["train_examples"] = 400
        params["evaluate"]["seeds"] = 2
        for name in ("single_objective", "multi_objective"):
            params[name] |= {"n_trials": self._trials, "search_space": {**SPACE}}
        yaml.dump(params, self.path / "params.yaml")
        (self.path / "dvc.lock").unlink(missing_ok=True)

    def change(self, section: str, **values: object) -> None:
        """Change a section of params.yaml."""
        yaml = YAML()
        params = yaml.load(self.path / "params.yaml")
        params[section] |= values
        yaml.dump(params, self.path / "params.yaml")

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**offline(self.refused), "IMPORTED": str(self._imported), "PATH": path, **variables}

    def start(self, *command: str, variables: Mapping[str, str] = MappingProxyType({})) -> subprocess.Popen[str]:
        """With one pipe for all that it prints."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, code: int = 0, variables: Mapping[str, str] = MappingProxyType({})) -> str:
        environment = self._environment(variables)
        done = subprocess.run(command, cwd=self.path, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def status(self) -> str:
        return self._git("status", "--porcelain")

    def results(self) -> dict[str, str]:
        files = sorted(path for path in (self.path / "results").rglob("[!.]*") if path.is_file())
        return {str(path.relative_to(self.path)): file_digest(path) for path in files}

    def imported(self, stage: str) -> set[str]:
        """What the processes of the stage imported, in all runs of it, without its workers."""
        lines = self._imported.read_text().splitlines()
        return {line.split()[-1] for line in lines if line.startswith(f"['{self.path}/stages/{stage}.py']")}

    def statuses(self, experiment: str) -> list[Counter[str]]:
        """The nested runs' statuses of each parent run, the oldest first."""
        client = MlflowClient(f"sqlite:///{self.path / 'mlflow.db'}")
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        runs = list(client.search_runs([found.experiment_id], order_by=["attributes.start_time"]))
        parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        assert {parent.info.status for parent in parents} == {"FINISHED"}
        return [
            Counter(r.info.status for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id)
            for parent in parents
        ]
