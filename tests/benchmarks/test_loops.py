"""What the pipeline's speed is compared with does the same work."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.loops import Config, Split, products, skilled, usual
from reprotune.data.stored import StoredDataset


def config(**changes: object) -> Config:
    widths = {"width_1": 16, "dropout_1": 0.1, "width_2": 8, "dropout_2": 0.1}
    training = {"optimizer": "Adam", "lr": 0.01, "batch_size": 64, "epochs": 8}
    return {"layers": 2, **widths, **training, **changes}


@pytest.fixture(scope="module")
def splits(dataset: StoredDataset) -> tuple[Split, Split]:
    train, valid = (dataset.load(split) for split in ("train", "valid"))
    return Split(train.images, train.labels), Split(valid.images, valid.labels)


@pytest.mark.parametrize("optimizer", ["Adam", "RMSprop", "SGD"])
def test_they_learn(splits: tuple[Split, Split], optimizer: str) -> None:
    torch.manual_seed(0)
    chosen = config(layers=1, optimizer=optimizer, lr=0.5 if optimizer == "SGD" else 0.01, epochs=20)
    for loop in (usual, skilled):
        accuracies = list(loop(chosen, *splits))
        assert len(accuracies) == 20
        assert accuracies[-1] > 0.9


@pytest.mark.parametrize("layers", [1, 2])
def test_the_products_are_those_of_the_training(splits: tuple[Split, Split], layers: int) -> None:
    chosen, counts = config(layers=layers), []
    for loop in (skilled, products):
        with FlopCounterMode(display=False) as counter:
            list(loop(chosen, *splits))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
