"""Caps and a floor, from a study to its page: what was not trained, a floor of `default`, and nothing feasible."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Dying, InlineExecutor, make_params, run

from reprotune import artifacts
from reprotune.advice.checks import advise
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.figures import study as figures
from reprotune.pipeline import evaluation, floor, progress, report, verify
from reprotune.pipeline.run_study import run_study
from reprotune.results import read, write
from reprotune.search import spec as specs
from reprotune.search.spec import StudySpec
from reprotune.search.study import Trial
from reprotune.tracking import trial_run
from stages import summary

CAPPED = make_params(
    single_objective__max_flops=330, multi_objective__max_flops=330, multi_objective__min_accuracy="default"
)


@pytest.fixture
def capped(dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[StudySpec, list[Trial]]:
    """The first study, of which some trials are too large; in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    declared = specs.from_params(CAPPED, "single_objective", dataset)
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
    found = dict(verify.differences(declared, range(len(trials)), {}, InlineExecutor()))
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


def test_nothing_feasible_is_said_wherever_the_winners_are(
    dataset: StoredDataset, repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # so that no cell of the summary is wrapped
    params = make_params(evaluate__seeds=1, training__epochs=2, multi_objective__min_accuracy=0.999)
    run_study(specs.from_params(params, "single_objective", dataset), InlineExecutor(), anew=False)
    run_study(read.read_studies(params, dataset)[1], InlineExecutor(), anew=False)
    configs = evaluation.winners(params)
    models = evaluation.trained(configs, dataset, params, InlineExecutor(), anew=False)
    scores = evaluation.test_scores(models)
    evaluation.write(scores, evaluation.summarize(configs, scores, dataset))
    found = evaluation.predictions(models["best"][0], configs["best"], dataset, "cpu", InlineExecutor())
    evaluation.write_predictions(found, dataset.classes)
    report.draw(read.read_studies(params, dataset), dataset)
    report.write(params, dataset)
    capsys.readouterr()
    summary.main()
    printed, page = " ".join(capsys.readouterr().out.split()), report.REPORT.read_text()
    assert artifacts.read_json(Path("results/multi_objective/metrics.json"))["feasible"] == 0
    assert "On test: trained again on train + valid" in printed
    assert "No trial of multi_objective reached min_accuracy, 0.999: the most accurate stand in." in printed
    assert "No trial of the second study reached <code>min_accuracy</code>, 0.999</strong>" in page
    same = "most accurate, within 1 point, within 2 points, within 5 points, knee, cheapest"
    assert f'<th scope="row">{same}</th>' in page
    assert same in printed
    assert "What a cheaper model loses" not in page
    assert any("reached min_accuracy, 0.999" in found.seen for found in advise(params, dataset))
    assert "<!-- floor -->" in Path("results/multi_objective/figures/pareto_front.svg").read_text()
