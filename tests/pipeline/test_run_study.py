"""A study that cannot be continued is left as it is, and told of."""

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dying, InlineExecutor, Killed, facts, make_params, run

from reprotune.data.stored import StoredDataset
from reprotune.pipeline.run_study import run_study
from reprotune.search.study import declaration, journal, spec, trials


def test_an_unfinished_study_of_older_code_is_not_continued(
    dataset: StoredDataset, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    params = make_params()
    declared = declaration.from_params(params, "single_objective", dataset)
    older = replace(declared)
    with monkeypatch.context() as patch:
        patch.setattr(spec, "made_by", lambda device: "older code")
        with pytest.raises(Killed):
            run(older, repository, Dying(5))
    assert older.journal != declared.journal
    before = older.journal.read_bytes()
    run_study(declared, InlineExecutor(), anew=False)
    told = f"{older.journal}: holds an unfinished study of other params, data, code or arithmetic; "
    assert capsys.readouterr().out.startswith(f"{told}it stays as it is, and a new study begins\n")
    assert older.journal.read_bytes() == before
    with journal.opened(declared.journal, declared.directions, lambda _: False) as opened:
        assert facts(trials.told(declared, opened)) == facts(run(declared, repository / "undisturbed"))
    run_study(declared, InlineExecutor(), anew=False)  # its own is there: nothing to tell
    assert told not in capsys.readouterr().out


def test_a_finished_study_of_older_code_is_no_news(
    dataset: StoredDataset, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = make_params(single_objective__n_trials=3)
    declared = declaration.from_params(params, "single_objective", dataset)
    run(replace(declared, seed=1), repository)
    run_study(declared, InlineExecutor(), anew=False)
    assert "unfinished" not in capsys.readouterr().out
