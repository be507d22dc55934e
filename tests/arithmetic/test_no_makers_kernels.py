"""No operation whose bits depend on the processor's maker has a part in a training, or in what a sampler proposes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CONFIG, make_params, run
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from reprotune.data.images import Split
from reprotune.data.stored import StoredDataset
from reprotune.search.samplers import PROPOSES_BY_TORCH, SAMPLERS
from reprotune.search.study import declaration, window
from reprotune.search.trial import Result, Task
from reprotune.training.augmentation import AUGMENTATIONS
from reprotune.training.cost import Cost
from reprotune.training.fit import learning_curve, new_model
from reprotune.training.learning_curve import Epoch
from reprotune.training.models import MODELS
from reprotune.training.optimizers import OPTIMIZERS, SCHEDULES

# MKL's matrix products and solvers, and the functions for which ATen calls its VML.
PRODUCTS = "addbmm addmm addmv addr baddbmm bmm dot ger linear matmul mm mv vdot cholesky linalg_cholesky_ex"
PRODUCTS += " linalg_solve_triangular triangular_solve linalg_lu linalg_qr linalg_eigh linalg_svd"
FUNCTIONS = "acos asin atan cos cosh erf erfc erfinv exp exp2 expm1 lgamma log log10 log1p log2 pow sin sinh sqrt tan"
REFUSED = {*PRODUCTS.split(), *FUNCTIONS.split()}


class Guard(TorchDispatchMode):
    """Notes each operation on floats of a CPU that has kernels of its own for each maker."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__.removeprefix("_foreach_").removesuffix("_")
        tensors = [
            a for arg in args for a in (arg if isinstance(arg, list | tuple) else [arg]) if isinstance(a, Tensor)
        ]
        if any(tensor.is_floating_point() and tensor.device.type == "cpu" for tensor in tensors):
            if name in REFUSED:
                self.found.add(name)
            if name in ("convolution", "convolution_backward"):
                image, weight = (args[1], args[2]) if name == "convolution_backward" else (args[0], args[1])
                if len(image) == 1 or weight.shape[2:] == (1, 1):
                    self.found.add(f"{name} of {len(image)} images, kernel {tuple(weight.shape[2:])}")
        return func(*args, **(kwargs or {}))


CNN = {"blocks": 2, "channels_1": 3, "channels_2": 4, "dropout_2": 0.1, "kernel": 3, "pooling": "flatten"}
CHANGES: list[Mapping[str, Any]] = [
    *({"optimizer": name, "momentum": momentum} for name in OPTIMIZERS for momentum in (0.0, 0.9)),
    *({"schedule": name} for name in SCHEDULES),
    *({name: 2} for name in AUGMENTATIONS),
    *({"batch_size": size} for size in (1, 2, 15, 59)),
    {"normalise": True},
    {"weight_decay": 0.1},
    {"label_smoothing": 0.1},
    {"kernel": 1, "pooling": "average", "batch_size": 7},
    {"kernel": 5, "batch_size": 2},
]


# A net that normalises neurons refuses a batch of one.
PAIRS = [
    (model, changed) for model in MODELS for changed in CHANGES if (model, changed) != ("mlp_bn", {"batch_size": 1})
]


@pytest.mark.parametrize(("model", "changed"), PAIRS, ids=lambda part: part if isinstance(part, str) else str(part))
def test_trainings(dataset: StoredDataset, model: str, changed: Mapping[str, Any]) -> None:
    config = {**CONFIG, **CNN, "model": model, "momentum": 0.0, "epochs": 1, **changed}
    train, valid = (Split(*(tensor[:60] for tensor in dataset.load(split))) for split in ("train", "valid"))
    with Guard() as guard:
        (point,) = learning_curve(new_model(config, dataset.inputs, 0), config, train, valid, 0)
    assert guard.found == set()
    assert 0 <= point.valid_accuracy <= 1


def test_the_guard_notices() -> None:
    x = torch.randn(1, 2, 4, 4).requires_grad_()
    with Guard() as guard:
        torch.nn.Linear(4, 3)(x.sqrt())
        torch._foreach_sqrt_([torch.ones(2)])
        torch.autograd.backward(torch.nn.Conv2d(2, 3, 1)(x).sum())
    assert guard.found >= {"sqrt", "convolution of 1 images, kernel (1, 1)"}
    assert {"addmm", "mm"} & guard.found
    assert "convolution_backward of 1 images, kernel (1, 1)" in guard.found


def guessed(task: Task) -> Result:
    """A result without a training."""
    accuracy = 1 - abs(task.config["lr"] - 0.01)
    cost = task.config["width_1"]
    return Result("COMPLETE", (Epoch(1.0, 1.0, accuracy),), Cost(2 * cost, cost, cost))


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name: str, dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but those that are known for it, whose studies have the maker in their identity."""
    monkeypatch.setattr(window, "run_trial", guessed)
    params = make_params(single_objective__sampler=name, single_objective__n_trials=14, single_objective__pruner="none")
    declared = declaration.from_params(params, "single_objective", dataset)
    assert declared.identity  # itself made by what is guarded here
    with Guard() as guard:
        run(declared, tmp_path)
    assert bool(guard.found) == (name in PROPOSES_BY_TORCH) == ("kernels_float64" in declared.environment)
