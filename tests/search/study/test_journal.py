"""A journal that is cut off, held by another process, or begun anew."""

from pathlib import Path

import pytest
from conftest import InlineExecutor, facts, run
from contract import spec

from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.search.study import journal, window
from reprotune.search.study.trials import finished


def test_a_torn_last_line_is_cut_off(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset)
    trials = facts(run(declared, tmp_path))
    path = tmp_path / declared.journal
    content = path.read_bytes()
    for cut in (1, 40, len(content) // 2):
        path.write_bytes(content[:-cut])
        assert facts(run(declared, tmp_path)) == trials


def test_two_processes_cannot_run_one_study(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_WAIT", 0)
    declared = spec(dataset)
    with journal.opened(tmp_path / declared.journal, declared.directions, lambda _: False):
        with pytest.raises(UserError, match="another process runs this study"):
            run(declared, tmp_path)
    run(declared, tmp_path)


def test_a_finished_study_can_be_begun_anew(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset)
    trials = facts(run(declared, tmp_path))
    path = tmp_path / declared.journal
    with journal.opened(path, declared.directions, lambda opened: finished(declared, opened)) as opened:
        assert opened.trials == []
        assert not finished(declared, opened)
        assert facts(list(window.run(declared, opened, InlineExecutor()))) == trials
    assert path.with_suffix(".previous").exists()
