"""How long the trainings of a study take, without all else, beside another checkout's code: docs/performance.md.

    python -m benchmarks.training results/single_objective/trials.csv data/mnist_5k --against ../before --trials 20
    python -m benchmarks.training fashion data/fashion_mnist --against ../before

Every round trains each config once with the code here and once with the other checkout's, in processes that take turns.
`fashion` is fashion-mlp's default net, over 20 epochs; `cnn` a small convolutional one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMON = {"schedule": "constant", "weight_decay": 0.0, "label_smoothing": 0.0, "normalise": False}
COMMON |= {"shift": 0, "flip": False, "cutout": 0, "optimizer": "Adam", "lr": 0.001, "batch_size": 128}
NAMED: dict[str, dict[str, Any]] = {
    "fashion": {"model": "mlp", "layers": 2, "width_1": 128, "dropout_1": 0.2, "width_2": 128, "dropout_2": 0.2}
    | {**COMMON, "epochs": 20},
    "cnn": {"model": "cnn", "blocks": 2, "channels_1": 16, "dropout_1": 0.2, "channels_2": 32, "dropout_2": 0.2}
    | {"kernel": 3, "pooling": "flatten", **COMMON, "epochs": 3},
}


def configs(source: str, trials: int) -> list[dict[str, Any]]:
    if source in NAMED:
        return [NAMED[source]]
    import csv

    def typed(cell: str) -> Any:
        for kind in (int, float):
            try:
                return kind(cell)
            except ValueError:
                pass
        return {"True": True, "False": False}.get(cell, cell)

    with Path(source).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["state"] == "COMPLETE"][:trials]
    return [{n.removeprefix("params."): typed(c) for n, c in r.items() if n.startswith("params.") and c} for r in rows]


def train(source: str, folder: Path, trials: int) -> None:
    """Print the CPU seconds of each training, by the code that this process finds first."""
    from reprotune.data.stored import StoredDataset
    from reprotune.training.fit import learning_curve, new_model

    dataset = StoredDataset(folder)
    splits = dataset.load("train"), dataset.load("valid")
    first, *rest = configs(source, trials)
    list(learning_curve(new_model({**first, "epochs": 1}, dataset.inputs, 0), {**first, "epochs": 1}, *splits, 0))
    for config in (first, *rest):
        started = time.process_time()
        list(learning_curve(new_model(config, dataset.inputs, 0), config, *splits, 0))
        print(time.process_time() - started)


def seconds(code: Path, arguments: argparse.Namespace) -> float:
    command = [sys.executable, str(Path(__file__).resolve()), arguments.configs, str(arguments.dataset.resolve())]
    environment = {**os.environ, "PYTHONPATH": str(code.resolve())}
    found = subprocess.run(
        [*command, "--trials", str(arguments.trials)], env=environment, check=True, capture_output=True, text=True
    )
    return sum(map(float, found.stdout.split()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", help="a study's trials.csv, or fashion, or cnn")
    parser.add_argument("dataset", type=Path, help="data/NAME")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout of this project")
    parser.add_argument("--trials", type=int, default=20, help="the first complete ones (default: 20)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not arguments.against:
        train(arguments.configs, arguments.dataset, arguments.trials)
        return
    arguments.configs = arguments.configs if arguments.configs in NAMED else str(Path(arguments.configs).resolve())
    pairs = [(seconds(ROOT, arguments), seconds(arguments.against, arguments)) for _ in range(arguments.rounds)]
    for here, there in pairs:
        print(f"{here:.2f} s here, {there:.2f} s there: {here / there:.3f} times")
    print(f"median of {len(pairs)} rounds: {statistics.median(here / there for here, there in pairs):.3f} times")


if __name__ == "__main__":
    main()
