"""Caps and a floor, from a study to its results: what was not trained, and a floor of `default`."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Anew, Dying, InlineExecutor, make_params, run

from reprotune import artifacts
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.figures import study as figures
from reprotune.pipeline import floor, progress, verify
from reprotune.results import read, write
from reprotune.search.study import declaration
from reprotune.search.study.spec import StudySpec
from reprotune.search.study.trials import Trial
from reprotune.tracking import trial_run

CAPPED = make_params(
    single_objective__max_flops=330, multi_objective__max_flops=330, multi_objective__min_accuracy="default"
)


@pytest.fixture
def capped(dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[StudySpec, list[Trial]]:
    """The first study, of which some trials are too large; in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    declared = declaration.from_params(CAPPED, "single_objective", dataset)
    trials = run(declared, Path())
    assert 0 < sum(trial.result.untrained for trial in trials) < len(trials)
    write.write_single_objective(declared.folder, declared, trials)
    return declared, trials


def test_what_was_not_trained_is_told_and_verified(capped: tuple[StudySpec, list[Trial]]) -> None:
    declared, trials = capped
    untrained = [trial for trial in trials if trial.result.untrained]
    metrics = artifacts.read_json(declared.folder / "metrics.json")
    assert metrics["too_large"] == metrics["pruned"] - sum(bool(t.result.curve) for t in trials if t.result.reason)
    rows = artifacts.read_csv(declared.folder / "trials.csv")
    for trial in untrained:
        row = rows[trial.number]
        assert (row["state"], row["accuracy"], row["epochs"]) == ("PRUNED", "", "0")
        assert row["reason"] == f"max_flops: {row['flops']} above 330"
        assert trial_run._name(trial) == f"#{trial.number} pruned"
    figures.write(declared.folder / "figures", declared, trials)
    found = dict(verify.differences(declared, range(len(trials)), {}, Anew()))
    assert found == dict.fromkeys(range(len(trials)), "")
    lines: list[str] = []
    standing = progress.StudyProgress(declared)
    for trial in trials:
        standing.show(trial, lambda share, state, line: lines.append(line))
    assert all(f"epoch 0   {trial.result.reason} |" in lines[trial.number] for trial in untrained)


def test_the_default_as_a_floor(
    capped: tuple[StudySpec, list[Trial]], dataset: StoredDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is trained once, whatever its cost, and every reader of the results knows what it reached."""
    assert read.read_studies(CAPPED, dataset)[1].min_accuracy is None  # nothing has been run
    reached = floor.default_accuracy(CAPPED, dataset, InlineExecutor())
    assert 0 < reached < 1
    assert f"the default config reaches {reached:.4f} on valid" in capsys.readouterr().out
    assert floor.default_accuracy(CAPPED, dataset, Dying(0)) == reached
    declared = read.read_studies(CAPPED, dataset)[1]  # as when the second study was interrupted
    assert declared.min_accuracy == reached
    assert declared.identity != replace(declared, min_accuracy=None).identity
    write.write_multi_objective(declared.folder, declared, run(replace(declared, n_trials=3), Path()))
    for journal in Path("studies").glob("default-*"):
        journal.unlink()  # which no clone has
    assert read.read_studies(CAPPED, dataset)[1] == declared


class Failing(InlineExecutor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(TimeoutError())
        return future


def test_a_default_that_fails_is_no_floor_and_is_tried_again(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"min_accuracy = 'default': the default config failed \(TimeoutError: took"):
        floor.default_accuracy(CAPPED, dataset, Failing())
    assert floor.default_accuracy(CAPPED, dataset, InlineExecutor()) > 0
