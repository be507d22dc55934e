"""The winners, trained again on train + valid over several seeds, and scored on test."""

import statistics
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch

from reprotune import exported
from reprotune.artifacts import read_csv, read_yaml, write_csv, write_json
from reprotune.cost import measure
from reprotune.datasets import Split, StoredDataset, open_dataset
from reprotune.errors import Refused
from reprotune.figure import Shown
from reprotune.front_plot import write_test_scores
from reprotune.models import Config, outline
from reprotune.params import Params
from reprotune.pool import WorkerDied
from reprotune.progress import shown
from reprotune.search_space import default_config
from reprotune.spec import resolve_device, seeds
from reprotune.training import fit, new_model, score

Scores = Mapping[str, list[float]]

FOLDER = Path("results/evaluation")


def winners(params: Params) -> dict[str, Config]:
    """Name → config of all that is evaluated, from the studies' result files and params.yaml."""
    front = read_yaml(Path("results/multi_objective/best_configs.yaml"))
    return {
        "best": read_yaml(Path("results/single_objective/best_config.yaml"))["params"],
        **{name: front[name]["params"] for name in ("most_accurate", "cheapest", "knee")},
        "default": default_config(params),
    }


def test_scores(
    configs: Mapping[str, Config], dataset: StoredDataset, params: Params, executor: Executor
) -> tuple[Scores, bytes]:
    """(name → test accuracies over `evaluate.seeds` seeds, the same for all; the best config's weights, of the first).

    Equal configs are trained once.
    """
    device = resolve_device(params.training.device)
    keys = {name: tuple(config.items()) for name, config in configs.items()}
    futures = {
        key: [
            executor.submit(_trained, dict(key), seeds(params.seed, repeat)[1], dataset.folder, dataset.digest, device)
            for repeat in range(params.evaluate.seeds)
        ]
        for key in dict.fromkeys(keys.values())
    }
    epochs = params.evaluate.seeds * sum(dict(key)["epochs"] for key in futures)
    done = 0
    with shown() as show:
        for number, (key, futures_of) in enumerate(futures.items(), start=1):
            for repeat, future in enumerate(futures_of, start=1):
                training = f"config {number} of {len(futures)}, seed {repeat}"
                try:
                    accuracy, _ = future.result()
                except WorkerDied as error:
                    raise Refused(f"{training}: {error}") from None
                done += dict(key)["epochs"]
                line = f"{training}: test accuracy {accuracy:.4f}"
                show(done / epochs, f"{done}/{epochs} epochs, {line}", line)
    scores = {name: [future.result()[0] for future in futures[key]] for name, key in keys.items()}
    return scores, futures[keys["best"]][0].result()[1]


def _trained(config: Config, seed: int, folder: Path, digest: str, device: str) -> tuple[float, bytes]:
    """(test accuracy, weights) of one training; the test split is read once, after its last epoch."""
    dataset = open_dataset(folder, digest)
    train, valid = dataset.load("train", device), dataset.load("valid", device)
    both = Split(torch.cat([train.images, valid.images]), torch.cat([train.labels, valid.labels]))
    model = new_model(config, dataset.inputs, seed)
    deque(fit(model, config, both, seed), maxlen=0)
    return score(model, dataset.load("test", device))[1], exported.weights(model)


def summarize(configs: Mapping[str, Config], scores: Scores, dataset: StoredDataset) -> dict[str, Any]:
    """Name → test accuracy (mean, sample standard deviation, n), flops and parameters."""
    summary = {}
    for name, config in configs.items():
        cost = measure(outline(config, dataset.inputs), dataset.shape)
        accuracies = scores[name]
        spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        summary[name] = {
            "test_accuracy": {"mean": statistics.fmean(accuracies), "std": spread, "n": len(accuracies)},
            "flops": cost.flops,
            "parameters": cost.parameters,
        }
    return summary


def write(scores: Scores, summary: Mapping[str, Any]) -> None:
    rows = [(name, repeat, score) for name, accuracies in scores.items() for repeat, score in enumerate(accuracies)]
    write_csv(FOLDER / "test_scores.csv", ("config", "repeat", "test_accuracy"), rows)
    write_json(FOLDER / "metrics.json", dict(summary))


def draw(summary: Mapping[str, Any], cost: str) -> None:
    """The figure of the winners' test accuracies over the cost that the multi-objective study minimised."""
    rows = [row for row in read_csv(Path("results/multi_objective/trials.csv")) if row["accuracy"]]
    points = [Shown(row["state"], float(row[cost]), float(row["accuracy"])) for row in rows]
    write_test_scores(FOLDER / "figures/test_scores.svg", cost, points, summary)
