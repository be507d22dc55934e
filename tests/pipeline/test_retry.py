"""What failed because of the machine is trained again; the study is then the one that nothing disturbed."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dying, Short, facts, make_params, run

from reprotune import params
from reprotune.data import stored
from reprotune.data.stored import StoredDataset
from reprotune.params import LedRung, Rung, ShareRung
from reprotune.pipeline.retry import forget_failures
from reprotune.search.study import declaration, journal
from reprotune.search.study.trials import as_asked, finished, recorded
from reprotune.search.trial import Result
from stages import retry

RUNGS: dict[str, Rung] = {
    "single_objective": ShareRung(epoch=1, share=0.2, among=5),
    "multi_objective": LedRung(epoch=1, margin=0.02),
}


@pytest.mark.parametrize("rung", [False, True])
@pytest.mark.parametrize("name", ["single_objective", "multi_objective"])
def test_the_study_is_as_if_undisturbed(dataset: StoredDataset, tmp_path: Path, name: str, rung: bool) -> None:
    n_trials, window = 14, 4
    declared = replace(declaration.from_params(make_params(), name, dataset), n_trials=n_trials, window=window)
    if rung:  # those after a failed one were judged beside it
        declared = replace(declared, rung=RUNGS[name])
    undisturbed = facts(run(declared, tmp_path / "undisturbed"))
    disturbed = facts(run(declared, tmp_path, Short()))
    assert disturbed[: 3 + window] != undisturbed[: 3 + window]
    assert disturbed[:3] == undisturbed[:3]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert forget_failures(declared) == [3, 9]
    again = 1 + n_trials - (3 + window)  # trial 3, and what was proposed once it had failed
    assert facts(run(declared, tmp_path, Dying(2 * n_trials if rung else again))) == undisturbed
    assert (tmp_path / declared.journal).with_suffix(".previous").exists()


def test_without_such_failures_nothing_changes(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = declaration.from_params(make_params(single_objective__n_trials=3), "single_objective", dataset)
    assert forget_failures(declared) == []
    assert not declared.journal.exists()
    run(declared, tmp_path)
    assert forget_failures(declared) == []
    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        assert finished(declared, opened)


def test_what_failed_beyond_the_studys_end_is_left_to_a_longer_one(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = declaration.from_params(make_params(), "single_objective", dataset)
    trials = run(declared, tmp_path, Short())
    shorter = replace(declared, max_epochs=sum(len(trial.result.curve) for trial in trials[:6]))
    assert forget_failures(shorter) == [3]
    assert facts(run(shorter, tmp_path)) == facts(run(shorter, tmp_path / "undisturbed"))
    assert forget_failures(shorter) == []


def test_a_first_study_without_results(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = make_params(single_objective__n_trials=2)
    run(declaration.from_params(chosen, "single_objective", dataset), tmp_path, Short(0, 1))
    monkeypatch.setattr(params, "load", lambda: chosen)
    monkeypatch.setattr(stored, "open_verified", lambda _: dataset)
    retry.main()
    assert capsys.readouterr() == ("single_objective\n", "single_objective: trials 0, 1 are trained again\n")


def test_what_a_timeout_ended_loses_no_trial(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that the trials after a failed one took was over when it began again, and nothing begins then."""
    monkeypatch.chdir(tmp_path)
    declared = declaration.from_params(make_params(), "single_objective", dataset)
    trials = run(declared, tmp_path, Short(3))
    assert forget_failures(declared) == [3]
    assert facts(run(replace(declared, timeout=trials[6].elapsed), tmp_path))[:7] == facts(
        run(replace(declared, n_trials=7), tmp_path / "undisturbed")
    )


def test_a_long_trial_before_a_failed_one_loses_none(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told after the timeout, within which the failed one and those after it had begun."""
    monkeypatch.chdir(tmp_path)
    declared = replace(declaration.from_params(make_params(), "single_objective", dataset), timeout=600.0, window=3)
    trials = run(replace(declared, n_trials=5), tmp_path / "undisturbed")
    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        for trial, elapsed in zip(trials, (300, 500, 650, 651, 655), strict=True):
            (asked := as_asked(trial.optuna)).number = trial.number
            opened.ask(asked)
            result = replace(trial.result, state="FAIL", by_machine=True) if trial.number == 3 else trial.result
            opened.tell(trial.number, result, declared.values(result), elapsed)
        opened.end(5)
    assert forget_failures(declared) == [3]
    assert facts(run(declared, tmp_path))[:5] == facts(trials)


def test_a_failed_repeat_leaves_what_lies_beyond_the_studys_end(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    declared = replace(declaration.from_params(make_params(), "single_objective", dataset), n_trials=12)
    trials = facts(run(declared, tmp_path, Short(6)))
    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        opened.keep_repeat(0, 0, Result("FAIL", (), None, "as told", by_machine=True))
    assert forget_failures(replace(declared, n_trials=4)) == [0]
    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        assert facts(list(recorded(opened))) == trials
        assert not opened.repeats
    assert forget_failures(declared) == [6]


def test_one_that_was_stopped_names_the_study_again(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else nothing would be out of date: the results with the failures stay."""
    monkeypatch.chdir(tmp_path)
    chosen = make_params(single_objective__n_trials=2, single_objective__finalists={"count": 0, "repeats": 1})
    declared = declaration.from_params(chosen, "single_objective", dataset)
    run(declared, tmp_path, Short(0))
    monkeypatch.setattr(params, "load", lambda: chosen)
    monkeypatch.setattr(stored, "open_verified", lambda _: dataset)
    told = []
    for _ in range(2):
        retry.main()
        told.append(capsys.readouterr())
    run(declared, tmp_path)
    retry.main()
    assert [*told, capsys.readouterr()] == [
        ("single_objective\n", "single_objective: trial 0 is trained again\n"),
        ("single_objective\n", "single_objective: goes on\n"),
        ("", "single_objective: nothing to train again\n"),
    ]
