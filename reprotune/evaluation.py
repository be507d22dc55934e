"""The winners, trained again on train + valid over several seeds, and scored on test: its only reader."""

import statistics
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch

from reprotune.artifacts import read_yaml, write_csv, write_json
from reprotune.cost import measure
from reprotune.datasets import Split, StoredDataset, open_dataset
from reprotune.models import Config
from reprotune.study import seeds
from reprotune.training import fit, new_model, score

Scores = Mapping[str, list[float]]


def winners(single_objective: Path, multi_objective: Path, default: Config) -> dict[str, Config]:
    """Name → config of all that is evaluated."""
    front = read_yaml(multi_objective / "best_configs.yaml")
    return {
        "best": read_yaml(single_objective / "best_config.yaml")["params"],
        **{name: front[name]["params"] for name in ("most_accurate", "cheapest", "knee")},
        "default": default,
    }


def test_scores(configs: Mapping[str, Config], dataset: StoredDataset, seed: int, n: int, executor: Executor) -> Scores:
    """Name → test accuracies over n seeds, the same seeds for all; equal configs are trained once."""
    keys = {name: tuple(config.items()) for name, config in configs.items()}
    futures = {
        key: [
            executor.submit(_test_accuracy, dict(key), seeds(seed, repeat)[1], dataset.folder, dataset.digest)
            for repeat in range(n)
        ]
        for key in dict.fromkeys(keys.values())
    }
    return {name: [future.result() for future in futures[key]] for name, key in keys.items()}


def _test_accuracy(config: Config, seed: int, folder: Path, digest: str) -> float:
    """One training; the test split is read once, after its last epoch."""
    dataset = open_dataset(folder, digest)
    train, valid = dataset.load("train"), dataset.load("valid")
    both = Split(torch.cat([train.images, valid.images]), torch.cat([train.labels, valid.labels]))
    model = new_model(config, dataset.shape, len(dataset.classes), seed)
    deque(fit(model, config, both, seed), maxlen=0)
    return score(model, dataset.load("test"))[1]


def summarize(configs: Mapping[str, Config], scores: Scores, dataset: StoredDataset) -> dict[str, Any]:
    """Name → test accuracy (mean, sample standard deviation, n), flops and parameters."""
    summary = {}
    for name, config in configs.items():
        cost = measure(new_model(config, dataset.shape, len(dataset.classes), seed=0), dataset.shape)
        accuracies = scores[name]
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        summary[name] = {
            "test_accuracy": {"mean": statistics.fmean(accuracies), "std": spread, "n": len(accuracies)},
            "flops": cost.flops,
            "parameters": cost.parameters,
        }
    return summary


def write(folder: Path, scores: Scores, summary: Mapping[str, Any]) -> None:
    rows = [(name, repeat, score) for name, accuracies in scores.items() for repeat, score in enumerate(accuracies)]
    write_csv(folder / "test_scores.csv", ("config", "repeat", "test_accuracy"), rows)
    write_json(folder / "metrics.json", dict(summary))
