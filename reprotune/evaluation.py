"""The winners, trained again on train + valid over several seeds, and scored on test."""

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from itertools import product
from pathlib import Path
from typing import Any

import torch

from reprotune import exported
from reprotune.artifacts import digest, file_digest, read_csv, read_yaml, replacing, write_csv, write_json
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
from reprotune.spec import made_by, resolve_device, seeds
from reprotune.training import fit, new_model, score

Scores = Mapping[str, list[float]]

FOLDER = Path("results/evaluation")
KEPT = Path("studies/evaluate")  # the models, by which an interrupted evaluation goes on


def winners(params: Params) -> dict[str, Config]:
    """Name → config of all that is evaluated, from the studies' result files and params.yaml."""
    front = read_yaml(Path("results/multi_objective/best_configs.yaml"))
    return {
        "best": read_yaml(Path("results/single_objective/best_config.yaml"))["params"],
        **{name: front[name]["params"] for name in ("most_accurate", "cheapest", "knee")},
        "default": default_config(params),
    }


def trained(
    configs: Mapping[str, Config], dataset: StoredDataset, params: Params, executor: Executor, anew: bool
) -> dict[str, list[Path]]:
    """Name → its models: one for each of `evaluate.seeds` seeds, the same for all. Equal configs are trained once.

    anew: train also those that an evaluation of the same has left, as an interrupted one does.
    """
    device = resolve_device(params.training.device)
    code = [made_by(device), *(file_digest(Path(file)) for file in (__file__, exported.__file__))]
    models: dict[str, list[Path]] = {name: [] for name in configs}
    trainings: dict[Path, tuple[str, Config, int]] = {}
    for (name, config), repeat in product(configs.items(), range(params.evaluate.seeds)):
        seed = seeds(params.seed, repeat)[1]
        # Its name is the digest of all that decides the model.
        path = KEPT / f"{digest([dict(config), seed, dataset.digest, code])[:24]}.safetensors"
        models[name].append(path)
        trainings.setdefault(path, (f"{name}, seed {repeat + 1}", config, seed))
    futures = {
        path: executor.submit(_trained, config, seed, dataset.folder, dataset.digest, device)
        for path, (_, config, seed) in trainings.items()
        if anew or not path.exists()
    }
    epochs, done = sum(config["epochs"] for _, config, _ in trainings.values()), 0
    with shown() as show:
        for path, (training, config, _) in trainings.items():
            if path in futures:
                _keep(path, training, futures[path])
            done += config["epochs"]
            line = f"{training}: test accuracy {exported.test_accuracy(path):.4f}"
            show(done / epochs, f"{done}/{epochs} epochs, {line}", line)
    return models


def _keep(path: Path, training: str, future: Future[bytes]) -> None:
    try:
        content = future.result()
    except WorkerDied as error:
        raise Refused(f"{training}: {error}") from None
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _trained(config: Config, seed: int, folder: Path, digest: str, device: str) -> bytes:
    """One training's model; the test split is read once, after its last epoch."""
    dataset = open_dataset(folder, digest)
    train, valid = dataset.load("train", device), dataset.load("valid", device)
    both = Split(torch.cat([train.images, valid.images]), torch.cat([train.labels, valid.labels]))
    model = new_model(config, dataset.inputs, seed)
    deque(fit(model, config, both, seed), maxlen=0)
    return exported.weights(model, score(model, dataset.load("test", device))[1])


def test_scores(models: Mapping[str, Sequence[Path]]) -> Scores:
    return {name: [exported.test_accuracy(path) for path in paths] for name, paths in models.items()}


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
