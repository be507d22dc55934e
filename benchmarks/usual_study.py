"""Optuna's PyTorch example, written out from its protocol: the usual way to search.

    python -m benchmarks.usual_study SEED DATASET_FOLDER

prints the best accuracy of 100 trials, TPE and median pruner. Like `benchmarks.loops` it imports nothing of reprotune.
"""

import sys
from pathlib import Path
from typing import Any

import optuna

from benchmarks.loops import Config, read, usual


def suggested(trial: optuna.Trial) -> Config:
    layers = trial.suggest_int("layers", 1, 3)
    config: dict[str, Any] = {"layers": layers, "batch_size": 128, "epochs": 10}
    for layer in range(1, layers + 1):
        config[f"width_{layer}"] = trial.suggest_int(f"width_{layer}", 4, 128)
        config[f"dropout_{layer}"] = trial.suggest_float(f"dropout_{layer}", 0.2, 0.5)
    config["optimizer"] = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    return config | {"lr": trial.suggest_float("lr", 1e-5, 1e-1, log=True)}


def main() -> None:
    seed, folder = int(sys.argv[1]), Path(sys.argv[2])
    train, valid = (read(folder, split) for split in ("train", "valid"))

    def objective(trial: optuna.Trial) -> float:
        accuracy = 0.0
        for epoch, accuracy in enumerate(usual(suggested(trial), train, valid)):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(objective, n_trials=100)
    print(study.best_value)


if __name__ == "__main__":
    main()
