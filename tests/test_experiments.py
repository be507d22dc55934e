"""What docs/dvc.md sets by `dvc exp run -S` is set as it says, by DVC's own function, and makes a search that runs."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, committed
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from reprotune import params
from reprotune.errors import UserError
from reprotune.params import Categorical, FloatRange, Params
from reprotune.search.study import declaration

LINES = (ROOT / "docs/dvc.md").read_text(encoding="utf-8").splitlines()
COMMANDS = [line for line in LINES if line.startswith("dvc exp run ") and "-S " in line]


def overrides(command: str) -> list[str]:
    words = shlex.split(command)
    return [words[at + 1] for at, word in enumerate(words) if word == "-S"]


def changed(folder: Path, *values: str) -> Params:
    (folder / "params.yaml").write_text(committed("params.yaml"))
    apply_overrides(folder / "params.yaml", list(values))
    found = params.load(folder / "params.yaml")
    declaration.check_params(found)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_page_is_accepted_and_changes_something(tmp_path: Path, command: str) -> None:
    before = changed(tmp_path)
    for sweep in get_hydra_sweeps({"params.yaml": overrides(command)}):
        assert changed(tmp_path, *sweep["params.yaml"]) != before


LR = FloatRange(type="float", low=0.00001, high=0.1, log=True)


@pytest.mark.parametrize(
    ("lr", "number"),
    [
        (LR.model_copy(update={"low": 0.001}), 0),
        (LR.model_copy(update={"low": 0.001, "high": 0.01}), 1),
        (0.01, 2),
        (None, 3),
        (Categorical(type="categorical", choices=(0.01, 0.1)), 5),
    ],
)
def test_a_search_space_is_what_the_page_says(tmp_path: Path, lr: Any, number: int) -> None:
    commands = [command for command in COMMANDS if ".search_space." in command]
    assert changed(tmp_path, *overrides(commands[number])).single_objective.search_space.get("lr") == lr


def test_a_type_over_a_range_is_refused_with_what_is_left_of_it(tmp_path: Path) -> None:
    line = r"search_space.lr = {.*}: low, high, log: unknown key; known here: type, choices$"
    with pytest.raises(UserError, match=line):
        changed(tmp_path, "++single_objective.search_space.lr={type: categorical, choices: [0.01, 0.1]}")
