"""The winners, trained again on train + valid over several seeds, and scored on test."""

import math
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

from reprotune.arithmetic import kernels
from reprotune.artifacts import atomic_write, digest, file_digest, read_yaml, write_csv, write_json
from reprotune.data.images import Split
from reprotune.data.metric import told, unless_default
from reprotune.data.stored import StoredDataset, open_dataset
from reprotune.errors import UserError, counted
from reprotune.params import Metric, Params
from reprotune.pipeline.progress import display
from reprotune.results import classification
from reprotune.results.read import best_params
from reprotune.results.scores import of_seeds
from reprotune.results.winners import WINNERS
from reprotune.search.space import default_config
from reprotune.search.study.preparation import resolve_device
from reprotune.search.study.seeds import seeds
from reprotune.search.study.spec import made_by
from reprotune.training import saved_model
from reprotune.training.cost import cost_of
from reprotune.training.models import Config
from reprotune.training.predictions import Prediction, predict

Scores = Mapping[str, list[float]]

FOLDER = Path("results/evaluation")
KEPT = Path("studies/evaluate")  # the models, by which an interrupted evaluation goes on


def winners(params: Params) -> dict[str, Config]:
    """Name → config of all that is evaluated, from the studies' result files and params.yaml."""
    front = read_yaml(Path("results/multi_objective/best_configs.yaml"))
    return {
        "best": best_params(),
        **{name: front[name]["params"] for name in WINNERS},
        "default": default_config(params),
    }


def trained(
    configs: Mapping[str, Config], dataset: StoredDataset, params: Params, executor: Executor, anew: bool
) -> dict[str, list[Path]]:
    """Name → its models: one for each of `evaluate.seeds` seeds, the same for all. Equal configs are trained once.

    anew: train also those that an evaluation of the same has left, as an interrupted one does.
    """
    kernels.warn_if_untried()
    device, metric = resolve_device(params.training.device), params.data.metric
    code = [made_by(device), *(file_digest(Path(file)) for file in (__file__, saved_model.__file__))]
    code += unless_default(metric).values()
    models: dict[str, list[Path]] = {name: [] for name in configs}
    trainings: dict[Path, tuple[str, Config, int]] = {}
    work: dict[Path, int] = {}
    for name, config in configs.items():
        flops = cost_of(config, dataset.inputs).flops
        for repeat in range(params.evaluate.seeds):
            seed = seeds(params.seed, "evaluate", repeat)[1]
            # Its name is the digest of all that decides the model.
            path = KEPT / f"{digest([dict(config), seed, dataset.digest, code])[:24]}.safetensors"
            models[name].append(path)
            trainings.setdefault(path, (f"{name}, seed {repeat + 1}", config, seed))
            work[path] = config["epochs"] * flops
    # The longest first, so that at the end no worker is left alone with one.
    trainings = {path: trainings[path] for path in sorted(trainings, key=work.__getitem__, reverse=True)}
    futures = {
        path: executor.submit(_trained, config, seed, (dataset.folder, dataset.digest), device, metric)
        for path, (_, config, seed) in trainings.items()
        if anew or not path.exists()
    }
    epochs, done = sum(config["epochs"] for _, config, _ in trainings.values()), 0
    with display() as show:
        for path, (training, config, _) in trainings.items():
            if path in futures:
                _keep(path, training, futures[path])
            done += config["epochs"]
            line = f"{training}: test {told(metric)} {saved_model.test_accuracy(path):.4f}"
            show(done / epochs, f"{done}/{epochs} epochs, {line}", line)
    counts = {name: sum(map(saved_model.diverged, paths)) for name, paths in models.items()}
    of = counted(params.evaluate.seeds, "seed")
    if lost := [f"{name} ({count} of {of})" for name, count in counts.items() if count]:
        print(f"diverged, trained on train + valid: {', '.join(lost)}", file=sys.stderr)
    return models


def _keep(path: Path, training: str, future: Future[bytes]) -> None:
    try:
        content = future.result()
    except BrokenExecutor as error:
        raise UserError(f"{training}: {error}") from None
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def _trained(config: Config, seed: int, place: tuple[Path, str], device: str, metric: Metric) -> bytes:
    """One training's model; test is read once, after its last epoch. place: the dataset's folder and digest."""
    import torch

    from reprotune.training.fit import fit, new_model, score

    dataset = open_dataset(*place)
    train, valid = dataset.load("train", device), dataset.load("valid", device)
    both = Split(torch.cat([train.images, valid.images]), torch.cat([train.labels, valid.labels]))
    model = new_model(config, dataset.inputs, seed)
    deque(fit(model, config, both, seed), maxlen=0)
    loss, accuracy = score(model, dataset.load("test", device), metric)
    return saved_model.weights(model, accuracy, diverged=not math.isfinite(loss))


def test_scores(models: Mapping[str, Sequence[Path]]) -> Scores:
    return {name: [saved_model.test_accuracy(path) for path in paths] for name, paths in models.items()}


def summarize(configs: Mapping[str, Config], scores: Scores, dataset: StoredDataset) -> dict[str, Any]:
    """Name → test accuracy (results.scores), flops and parameters."""
    summary = {}
    for name, config in configs.items():
        cost = cost_of(config, dataset.inputs)
        accuracy = of_seeds(scores[name])
        summary[name] = {"test_accuracy": accuracy, "flops": cost.flops, "parameters": cost.parameters}
    return summary


def predictions(
    path: Path, config: Config, dataset: StoredDataset, device: str, executor: Executor
) -> list[Prediction]:
    """What the model, whose weights are in `path`, says of the test split."""
    work = (path.read_bytes(), config, dataset.folder, dataset.digest, device)
    found: list[Prediction] = executor.submit(_predicted, *work).result()
    return found


def _predicted(content: bytes, config: Config, folder: Path, digest: str, device: str) -> list[Prediction]:
    dataset = open_dataset(folder, digest)
    model = saved_model.load(content, config, dataset.inputs)
    return predict(model.to(device), dataset.load("test", device))


def write_predictions(found: Sequence[Prediction], classes: Sequence[str]) -> None:
    """Of the model that results/model/ holds: each prediction, and what they say of it."""
    rows = ((image, classes[label], classes[taken], confidence) for image, label, taken, confidence in found)
    write_csv(FOLDER / "predictions.csv", ("image", "label", "predicted", "confidence"), rows)
    matrix = classification.confusion_matrix(found, len(classes))
    counts = ((name, *row) for name, row in zip(classes, matrix, strict=True))
    write_csv(FOLDER / "confusion_matrix.csv", ("label", *classes), counts)
    by_class = classification.by_class(matrix, classes)
    write_csv(FOLDER / "classes.csv", ("class", "images", "accuracy", "precision"), by_class)
    write_csv(FOLDER / "calibration.csv", classification.Bin._fields, classification.calibration(found))
    write_json(FOLDER / "model_metrics.json", classification.summary(found, len(classes)))


def write(scores: Scores, summary: Mapping[str, Any]) -> None:
    rows = [(name, repeat, score) for name, accuracies in scores.items() for repeat, score in enumerate(accuracies)]
    write_csv(FOLDER / "test_scores.csv", ("config", "repeat", "test_accuracy"), rows)
    write_json(FOLDER / "metrics.json", dict(summary))
