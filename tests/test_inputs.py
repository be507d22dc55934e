"""What is edited while a stage runs is never recorded beside results that it did not make."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, committed
from ruamel.yaml import YAML

from reprotune import inputs
from reprotune.artifacts import flat, read_json, read_yaml, write_json
from reprotune.errors import UserError
from reprotune.inputs import unchanged

PIPELINE = read_yaml(ROOT / "dvc.yaml")
STAGES = PIPELINE["stages"]
PARAMS = YAML(typ="safe").load(committed("params.yaml"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its params, and something at the place of each dep."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "read_yaml", quick_yaml)
    change()
    for dep in {dep for stage in STAGES.values() for dep in stage["deps"]}:
        path = Path(resolved(dep))
        if not path.suffix:
            path = path / "inside/file"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    return tmp_path


def quick_yaml(path: Path) -> Any:
    """The real one takes a twentieth of a second."""
    if path.name == "dvc.yaml":
        return PIPELINE
    return read_json(path) if path.read_bytes().startswith(b"{") else read_yaml(path)


def resolved(dep: str) -> str:
    params = dict(flat(PARAMS))
    return re.sub(r"\$\{(.+?)\}", lambda found: str(params[found[1]]), dep)


def changed(old: Any) -> Any:
    if isinstance(old, bool) or old is None:
        return not old
    return old + 1 if isinstance(old, int | float) else f"{old}x"


def change(*keys: str) -> None:
    """These alone; others are as at first."""
    params = deepcopy(PARAMS)
    for key in keys:
        *sections, last = key.split(".")
        target = params
        for section in sections:
            target = target[section]
        target[last] = [9, 9] if isinstance(target[last], list) else changed(target[last])
    write_json(Path("params.yaml"), params)  # which is YAML, too


KEPT = "changed while this stage ran; what was trained is kept; `dvc repro` goes on from it, or runs what is there now"


def told(stage: str, work: Callable[[], Any]) -> str:
    """How a stage ends, while which this is done."""
    try:
        with unchanged(stage):
            work()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("stage", STAGES)
def test_a_key_that_changes(project: Path, stage: str) -> None:
    """Each that dvc.yaml gives to the stage is missed, and all others together are none of its business."""
    keys = [key for key in dict(flat(PARAMS)) if key != "data.images.folder"]  # by which dvc.yaml names a folder
    own = [key for key in keys if f"{key}.".startswith(tuple(f"{given}." for given in STAGES[stage]["params"]))]
    for key in own:
        change()
        line = told(stage, partial(change, key))
        assert line.startswith(f"params.yaml: {key}")
        assert line.endswith(KEPT)
    change()
    assert not told(stage, partial(change, *(key for key in keys if key not in own)))


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_that_changes(project: Path, stage: str) -> None:
    for dep in map(resolved, STAGES[stage]["deps"]):
        file = Path(dep) if Path(dep).is_file() else Path(dep) / "inside/file"
        for content in ("another", "longer " * 2**18, ""):  # a large one is known by its size and time
            assert told(stage, partial(file.write_text, content)) == f"{file}: {KEPT}"
        assert told(stage, file.unlink) == f"{file}: {KEPT}"
        assert told(stage, partial(file.write_text, "as it was")) == f"{file}: {KEPT}"
        assert not told(stage, partial(file.write_text, "as it was"))


def test_what_is_no_stage_of_the_pipeline_does_not_care(project: Path) -> None:
    for name in ("verify", "summary", ""):
        assert not told(name, partial(Path("params.yaml").write_text, "{}"))


@pytest.mark.parametrize("content", ["a: [", "seed", "\0"])
def test_params_that_cannot_be_read_are_the_stages_to_refuse(project: Path, content: str) -> None:
    Path("params.yaml").write_text(content)
    assert not told("single_objective", lambda: None)


def test_params_that_can_no_longer_be_read(project: Path) -> None:
    line = told("evaluate", partial(Path("params.yaml").write_text, "a: ["))
    assert line.startswith("params.yaml: seed, params.yaml: data.dataset, ")


def test_no_metric_has_the_name_of_a_file() -> None:
    """`dvc exp show --keep` fails on columns of one name: "unexpected error - 'images'"."""
    metrics = [Path(path) for stage in STAGES.values() for out in stage.get("metrics", ()) for path in out]
    names = {key for path in metrics for key in dict(flat(json.loads(committed(str(path)))))}
    files = {resolved(path) for stage in STAGES.values() for path in stage["deps"]}
    assert len(metrics) == 1
    assert names
    assert not names & files
