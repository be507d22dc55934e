"""What a person reads while a study runs."""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_params, run

from reprotune.data.stored import StoredDataset
from reprotune.pipeline import progress
from reprotune.results.winners import pareto_front
from reprotune.search.study import declaration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def follow(dataset: StoredDataset, folder: Path, name: str) -> list[tuple[float, str, str]]:
    declared = declaration.from_params(make_params(), name, dataset)
    standing, calls = progress.StudyProgress(declared), list[tuple[float, str, str]]()
    trials = run(declared, folder)
    for trial in trials:
        standing.show(trial, lambda *call: calls.append(call))
    counts = [sum(trial.result.state == state for trial in trials) for state in ("PRUNED", "FAIL")]
    assert f"12/12, {counts[0]} pruned, {counts[1]} failed, best " in calls[-1][1]
    if declared.cost:
        assert f"front {len({point.optuna.values[0] for point in pareto_front(declared, trials)})}" in calls[-1][1]
    return calls


@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_a_study_says_how_it_stands(dataset: StoredDataset, tmp_path: Path, name: str) -> None:
    calls = follow(dataset, tmp_path, name)
    shares = [share for share, _, _ in calls]
    assert len(calls) == 12
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert calls[0][2].startswith("[ 1/12] ")
    assert all(line.endswith(state.split(", ", 1)[1]) for _, state, line in calls)
    assert "0:00 left" in calls[-1][2]


def test_adopted_trials_do_not_say_how_long_the_others_take(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = declaration.from_params(make_params(), "single_objective", dataset)
    trials = run(declared, tmp_path)
    declared = replace(declared, adopted=tuple((trial.config, trial.result) for trial in trials[:2]))
    epochs = [len(trial.result.curve) for trial in trials[:3]]
    for end, left in ((None, "9:00"), (sum(epochs) + epochs[2], "1:00")):  # as many epochs as it took 60 s for
        standing, calls = progress.StudyProgress(replace(declared, max_epochs=end)), list[tuple[float, str, str]]()
        for trial, elapsed in zip(trials, (0.0, 0.0, 60.0), strict=False):
            standing.show(replace(trial, elapsed=elapsed), lambda *call: calls.append(call))  # noqa: B023
        assert [share for share, _, _ in calls[:2]] == [0.0, 0.0]
        assert [state.rpartition(", ")[2] for _, state, _ in calls] == ["? left", "? left", f"{left} left"]


def test_a_log_has_a_line_each(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stage"])
    with progress.display() as show:
        show(0.5, "half", "one")
        show(1.0, "whole", "two")
    assert capsys.readouterr().out == "one\ntwo\n"


@pytest.mark.parametrize("option", ["-q", "--quiet"])
def test_quiet(option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", option])
    with progress.display() as show:
        show(1.0, "whole", "two")
    assert capsys.readouterr().out == ""


def test_a_terminal_of_80_columns_has_all_of_it_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["stage"])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    state = "1000/1000, 100 pruned, 10 failed, best 0.9427, front 13, 10:20 left"
    with progress.display() as show:
        show(1.0, "whole", "")
        show(0.5, state, "")
    last = next(line for line in reversed(terminal.getvalue().splitlines()) if state in line)
    assert re.search(r"[-\\|/]", last.partition(state)[0])  # it turns, after a share of 1 too


def test_a_terminal_that_cannot_move_its_cursor_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an editor's: a bar would be seen at its end only."""
    monkeypatch.setattr(sys, "argv", ["stage"])
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with progress.display() as show:
        show(0.5, "half", "one")
        assert terminal.getvalue() == "one\n"


@pytest.mark.parametrize("end", [{"max_epochs": 15}, {"patience": 2}], ids=str)
def test_a_study_that_its_trials_end_has_nothing_left(
    dataset: StoredDataset, tmp_path: Path, end: dict[str, int]
) -> None:
    declared = replace(declaration.from_params(make_params(), "single_objective", dataset), **end)  # type: ignore[arg-type]
    standing, calls = progress.StudyProgress(declared), list[tuple[float, str, str]]()
    trials = run(declared, tmp_path)
    assert len(trials) < 12
    for trial in trials:
        standing.show(trial, lambda *call: calls.append(call))
    assert [share == 1 for share, _, _ in calls] == [False] * (len(trials) - 1) + [True]
    assert calls[-1][1].endswith("0:00 left")
