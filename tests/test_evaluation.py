from pathlib import Path

import pytest
from conftest import InlineExecutor, make_params

from reprotune import artifacts, evaluation
from reprotune.datasets import StoredDataset

CONFIG = {**make_params().training.hyperparameters, "model": "mlp", "layers": 1, "width_1": 8, "dropout_1": 0.2}
CONFIG |= {"lr": 0.01, "batch_size": 32, "epochs": 2}


def test_scores(dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = []

    class Counting(InlineExecutor):
        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            submitted.append(args)
            return super().submit(fn, *args, **kwargs)

    configs = {"best": CONFIG, "knee": CONFIG | {"epochs": 6}, "most_accurate": dict(CONFIG)}
    scores, _ = evaluation.test_scores(configs, dataset, make_params(evaluate__seeds=3), Counting())
    assert len(submitted) == 6  # equal configs are trained once
    assert scores["best"] == scores["most_accurate"]
    assert len(set(scores["best"])) > 1
    assert [args[1] for args in submitted[:3]] == [args[1] for args in submitted[3:]]

    summary = evaluation.summarize(configs, scores, dataset)
    monkeypatch.chdir(tmp_path)
    evaluation.write(scores, summary)
    assert artifacts.read_json(evaluation.FOLDER / "metrics.json") == summary
    macs = 64 * 8 + 8 * 4
    mean = sum(scores["best"]) / 3
    std = (sum((accuracy - mean) ** 2 for accuracy in scores["best"]) / 2) ** 0.5
    assert summary["best"]["test_accuracy"] == {"mean": pytest.approx(mean), "std": pytest.approx(std), "n": 3}
    assert (summary["best"]["flops"], summary["best"]["parameters"]) == (2 * macs, macs + 12)
    header = ("state", "flops", "parameters", "accuracy")
    trials = [("COMPLETE", 500, 250, 0.5), ("PRUNED", 900, 450, 0.4), ("FAIL", "", "", "")]
    artifacts.write_csv(Path("results/multi_objective/trials.csv"), header, trials)
    evaluation.draw(summary, "parameters")
    figure = (evaluation.FOLDER / "figures/test_scores.svg").read_text()
    assert all(shown in figure for shown in ("<!-- parameters -->", "<!-- best, most accurate -->", "<!-- knee -->"))
    rows = artifacts.read_csv(evaluation.FOLDER / "test_scores.csv")
    assert [float(row["test_accuracy"]) for row in rows if row["config"] == "knee"] == scores["knee"]


def test_winners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    artifacts.write_yaml(Path("results/single_objective/best_config.yaml"), {"number": 3, "params": {"lr": 1.0}})
    front = {name: {"params": {"lr": value}} for name, value in (("most_accurate", 2), ("cheapest", 3), ("knee", 4))}
    artifacts.write_yaml(Path("results/multi_objective/best_configs.yaml"), front)
    found = evaluation.winners(make_params(training__lr=5.0))
    expected = {"best": 1.0, "most_accurate": 2, "cheapest": 3, "knee": 4, "default": 5.0}
    assert {name: config["lr"] for name, config in found.items()} == expected
