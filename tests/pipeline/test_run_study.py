"""How a study begins; and one that cannot be continued is left as it is, and told of."""

import shutil
import sys
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import optuna
import pytest
from conftest import CONFIG, Dying, InlineExecutor, Killed, facts, make_params, run

from reprotune import artifacts, params
from reprotune.artifacts import SharedFiles
from reprotune.data.stored import StoredDataset
from reprotune.execution import engines
from reprotune.pipeline.run_study import run_study
from reprotune.search.study import declaration, journal, spec, trials
from stages import multi_objective, single_objective


class Elsewhere(Dying):
    """Workers on other machines: each task needs the data, of which they must be told before."""

    here = False

    def __init__(self) -> None:
        super().__init__(after=0)
        self.shared = list[str]()

    def share(self, data: SharedFiles, device: str) -> None:
        self.shared.append(data.digest)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        assert self.shared
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize("stage", [single_objective, multi_objective], ids=lambda stage: stage.__name__)
def test_workers_are_told_of_the_data_before_their_first_task(
    stage: Any, repository: Path, dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where that is the training of the default config, whose accuracy is the second study's floor."""
    chosen, pool = make_params(multi_objective__min_accuracy="default"), Elsewhere()
    shutil.copytree(dataset.folder, Path("data") / chosen.data.dataset)
    artifacts.write_yaml(Path("results/single_objective/best_config.yaml"), {"params": CONFIG})
    monkeypatch.setattr(sys, "argv", ["stage"])
    monkeypatch.setattr(params, "load", lambda: chosen)
    monkeypatch.setattr(engines, "started", lambda _: nullcontext(pool))
    with pytest.raises(Killed):
        stage.main()
    assert pool.shared == [dataset.digest]


@pytest.mark.usefixtures("untracked")
def test_an_unfinished_study_of_older_code_is_not_continued(
    dataset: StoredDataset, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = declaration.from_params(make_params(), "single_objective", dataset)
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


@pytest.mark.usefixtures("untracked")
def test_a_finished_study_of_older_code_is_no_news(
    dataset: StoredDataset, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is it loaded, unless it was lengthened."""
    declared = declaration.from_params(make_params(single_objective__n_trials=3), "single_objective", dataset)
    older = replace(declared, seed=1)
    run(older, repository)
    loaded = Mock(wraps=optuna.load_study)
    monkeypatch.setattr(optuna, "load_study", loaded)
    run_study(declared, InlineExecutor(), anew=False)
    assert "unfinished" not in capsys.readouterr().out
    loaded.assert_not_called()
    with pytest.raises(Killed):
        run(replace(older, n_trials=9), repository, Dying(5))
    assert journal.unfinished(older.journal)


@pytest.mark.usefixtures("untracked")
def test_what_is_kept_is_told(dataset: StoredDataset, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And why a study ended before its last trial."""
    declared = declaration.from_params(make_params(single_objective__n_trials=3), "single_objective", dataset)
    for n_trials, max_epochs in ((3, None), (9, None), (9, 1)):
        run_study(replace(declared, n_trials=n_trials, max_epochs=max_epochs), InlineExecutor(), anew=False)
    told = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("[")]
    assert told == [
        f"{declared.journal}: has 3 of 9 trials, not trained again",
        f"{declared.journal}: has 9 of 9 trials, not trained again",
        "ended by max_epochs, after 1 of 9 trials",
    ]
