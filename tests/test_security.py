"""No file is run, and every dependency is the one that was pinned."""

import ast
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from conftest import ROOT

SOURCES = sorted(path for folder in ("reprotune", "stages") for path in (ROOT / folder).rglob("*.py"))
# To read a file with one of these is to run what it says.
RUNS_FILES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "shelve",
    "marshal",
    "torch.load",
    "joblib.load",
    "exec",
    "eval",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_run(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    tensors_alone = {ast.unparse(call) for call in calls if "weights_only=True" in ast.unparse(call)}
    calls = [call for call in calls if ast.unparse(call) not in tensors_alone]
    assert not ({ast.unparse(call.func) for call in calls} | imported) & RUNS_FILES
    options = {keyword.arg: ast.unparse(keyword.value) for call in calls for keyword in call.keywords}
    assert "allow_pickle" not in options
    assert options.get("shell", "False") == "False"
    for call in calls:
        if ast.unparse(call.func) == "YAML":
            assert "typ='safe'" in ast.unparse(call)


def test_dependencies_are_pinned_with_hashes_and_fit_together() -> None:
    text = (ROOT / "requirements.txt").read_text()
    pins = re.findall(
        r"^([A-Za-z0-9._-]+)==[^ ]+(?: ;[^\\\n]*)? \\\n {4}--hash=sha256:[0-9a-f]{64}", text, re.MULTILINE
    )
    assert len(pins) > 100
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE))
    command = [sys.executable, "-m", "uv", "--no-cache", "pip", "check", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_dependency_is_under_the_agpl() -> None:
    for distribution in distributions():
        metadata = distribution.metadata.json
        licences = [str(metadata.get(key, ""))[:200] for key in ("license", "license_expression")]
        licences += [value for value in metadata.get("classifier", []) if value.startswith("License")]
        assert not re.search("AGPL|Affero", " ".join(licences), re.IGNORECASE), metadata["name"]
