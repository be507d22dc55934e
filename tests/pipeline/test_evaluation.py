from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from conftest import CONFIG, InlineExecutor, make_params

from reprotune import artifacts
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.figures import evaluation as figures
from reprotune.figures.pareto_front import Front
from reprotune.figures.style import TrialPoint
from reprotune.params import Evaluate
from reprotune.pipeline import evaluation
from reprotune.results.winners import WINNERS


class Counting(InlineExecutor):
    """Notes the arguments of each task; `left` tasks are done before it is interrupted."""

    def __init__(self, left: int = 1000) -> None:
        self.submitted: list[tuple[Any, ...]] = []
        self._left = left

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted.append(args)
        if len(self.submitted) > self._left:
            interrupted: Future[Any] = Future()
            interrupted.set_exception(KeyboardInterrupt())
            return interrupted
        return super().submit(fn, *args, **kwargs)


CONFIGS = {"best": CONFIG, "knee": CONFIG | {"epochs": 6}, "most_accurate": dict(CONFIG)}


def test_scores(dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    executor, configs = Counting(), CONFIGS
    scores = evaluation.test_scores(
        evaluation.trained(configs, dataset, make_params(evaluate__seeds=3), executor, anew=False)
    )
    submitted = executor.submitted
    assert len(submitted) == 6  # equal configs are trained once
    assert scores["best"] == scores["most_accurate"]
    assert len(set(scores["best"])) > 1
    assert [args[1] for args in submitted[:3]] == [args[1] for args in submitted[3:]]
    assert [args[0]["epochs"] for args in submitted] == [6, 6, 6, 2, 2, 2]  # the longest first

    summary = evaluation.summarize(configs, scores, dataset)
    evaluation.write(scores, summary)
    assert artifacts.read_json(evaluation.FOLDER / "metrics.json") == summary
    macs = 64 * 8 + 8 * 4
    mean = sum(scores["best"]) / 3
    std = (sum((accuracy - mean) ** 2 for accuracy in scores["best"]) / 2) ** 0.5
    assert summary["best"]["test_accuracy"] == {"mean": pytest.approx(mean), "std": pytest.approx(std), "n": 3}
    assert (summary["best"]["flops"], summary["best"]["parameters"]) == (2 * macs, macs + 12)
    points = [TrialPoint("COMPLETE", 250, 0.5), TrialPoint("PRUNED", 450, 0.4)]
    front = Front("parameters", points, [(250, 0.5)], floor=0.3)
    figures.write(tmp_path / "test_scores.svg", front, summary)
    figure = (tmp_path / "test_scores.svg").read_text()
    assert all(shown in figure for shown in ("<!-- parameters -->", "<!-- best, most accurate -->", "<!-- knee -->"))
    assert "<!-- floor -->" in figure
    rows = artifacts.read_csv(evaluation.FOLDER / "test_scores.csv")
    assert [float(row["test_accuracy"]) for row in rows if row["config"] == "knee"] == scores["knee"]


def test_an_interrupted_evaluation_goes_on(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = make_params(evaluate__seeds=3)

    def trained(executor: Counting, seeds: int = 3, anew: bool = False, **changes: Any) -> dict[str, list[bytes]]:
        chosen = params.model_copy(update={"evaluate": Evaluate(seeds=seeds), **changes})
        models = evaluation.trained(CONFIGS, dataset, chosen, executor, anew)
        return {name: [path.read_bytes() for path in paths] for name, paths in models.items()}

    with pytest.raises(KeyboardInterrupt):
        trained(Counting(left=4))
    assert len(list(evaluation.KEPT.iterdir())) == 4
    rest, none, more, another, anew = Counting(), Counting(), Counting(), Counting(), Counting()
    models = trained(rest)
    assert len(rest.submitted) == 2
    assert trained(none) == models == trained(anew, anew=True)
    assert (len(none.submitted), len(anew.submitted)) == (0, 6)
    assert trained(more, seeds=4)["knee"][:3] == models["knee"]
    assert len(more.submitted) == 2  # a seed more for each of two configs
    assert trained(another, seed=1)["knee"] != models["knee"]
    assert len(another.submitted) == 6
    next(evaluation.KEPT.iterdir()).write_bytes(b"torn")
    with pytest.raises(
        UserError, match=r"studies/evaluate/.*: is damaged .*; delete it, and its model is trained again"
    ):
        [trained(Counting(), seeds=4), trained(Counting(), seed=1)]


def test_a_diverged_model_is_told_and_scored_like_any(
    dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    configs = {"best": CONFIG | {"lr": 1e30}, "default": CONFIG}
    models = evaluation.trained(configs, dataset, make_params(evaluate__seeds=2), InlineExecutor(), anew=False)
    assert capsys.readouterr().err.splitlines()[-1] == "diverged, trained on train + valid: best (2 of 2 seeds)"
    found = evaluation.predictions(models["best"][0], configs["best"], dataset, "cpu", InlineExecutor())
    assert {one.confidence for one in found} == {0.0}
    evaluation.write_predictions(found, dataset.classes)
    assert artifacts.read_json(evaluation.FOLDER / "model_metrics.json")["images"] == len(found)


def test_winners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts.write_yaml(Path("results/single_objective/best_config.yaml"), {"number": 3, "params": {"lr": 1.0}})
    front = {name: {"params": {"lr": value}} for value, name in enumerate(WINNERS, start=2)}
    artifacts.write_yaml(Path("results/multi_objective/best_configs.yaml"), front)
    found = evaluation.winners(make_params(training__lr=5.0))
    within = {"within_1_point": 3, "within_2_points": 4, "within_5_points": 5}
    expected = {"best": 1.0, "most_accurate": 2, **within, "knee": 6, "cheapest": 7, "default": 5.0}
    assert {name: config["lr"] for name, config in found.items()} == expected
