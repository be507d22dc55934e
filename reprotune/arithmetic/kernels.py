"""What the bits of a result were computed with: libraries, dispatch, and a digest of what the kernels compute."""

import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

from reprotune.arithmetic.dispatch import DISPATCH, overridden

LIBRARIES = ("cmaes", "greenlet", "numpy", "optuna", "scipy", "thop", "torch")  # greenlet: GP sampler's sums
TRIED = "4ef89a6f0962"  # `digest` on each processor for which the same bytes were seen; README.md names them


def environment(device: str) -> dict[str, str]:
    """What, beside code, params and data, the bits of a trial on this device depend on."""
    versions = {library: version(library) for library in LIBRARIES}
    dispatch = {name: os.environ.get(name, "") for name in DISPATCH} | overridden()
    return {"machine": platform.machine(), "device": _hardware(device), "kernels": digest()} | versions | dispatch


def _hardware(device: str) -> str:
    """cpu, or the GPU's name, if it is here: another model of GPU has other kernels."""
    if device == "cpu":
        return device
    from torch import cuda

    return cuda.get_device_name(device) if cuda.is_available() else device


_known: list[str] = []


def digest() -> str:
    """Of the bits that this processor gives to what training and samplers are made of."""
    if not _known:
        _known.append(_computed())
    return _known[0]


def know(digest: str) -> None:
    """Take it from another process of this machine, which has imported torch."""
    _known[:] = [digest]


def _computed() -> str:
    import numpy as np
    import scipy.special
    import torch
    from torch.nn import functional as F

    from reprotune.arithmetic import optimizers
    from reprotune.arithmetic.layers import product

    generator = torch.Generator().manual_seed(0)
    shapes = ((32, 1, 28, 28), (8, 1, 3, 3), (16, 8, 5, 5), (66, 784), (10, 66))
    images, *weights = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    maps = F.max_pool2d(F.batch_norm(F.conv2d(images, weights[0], padding=1), None, None, training=True).relu(), 2)
    maps = F.conv2d(maps, weights[1], padding=2).sigmoid().mean((1, 2, 3), keepdim=True)
    logits = product(product((images + maps).flatten(1), weights[2]).relu(), weights[3])
    scores = logits.log_softmax(1)
    torch.autograd.backward((scores * scores).mean())
    optimizers.Adam(weights, lr=0.1, fused=True).step()
    optimizers.SGD(weights, lr=0.1, momentum=0.9, fused=True).step()
    tensors = (logits, *(weight.grad for weight in weights), *weights)
    arrays = [tensor.detach().numpy() for tensor in tensors if tensor is not None]
    matrix = arrays[0].astype(np.float64)
    arrays += [matrix.T @ matrix, np.exp(matrix), np.log(np.abs(matrix) + 1), np.linalg.cholesky(np.cov(matrix.T))]
    arrays += [np.sqrt(np.abs(arrays[0])), np.linalg.eigh(np.cov(matrix.T))[1], scipy.special.erf(matrix)]
    arrays += [scipy.special.log_ndtr(matrix), scipy.special.ndtri(np.abs(matrix) % 1)]
    return _of(arrays)


@cache
def digest_of_float64() -> str:
    """Of torch's products and solvers in float64, which are MKL's and depend on the processor's maker."""
    import torch

    matrix = torch.randn((40, 24), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    square = matrix.T @ matrix
    factor = torch.linalg.cholesky(square)
    solved = torch.linalg.solve_triangular(factor, matrix.T, upper=False)
    return _of(tensor.numpy() for tensor in (square, factor, solved, matrix @ solved, matrix.exp(), matrix.abs().log()))


def warn_if_untried() -> None:
    """Say so, before anything is trained, where the promise of the same bytes was never tried."""
    if digest() != TRIED:
        print(
            f"this processor computes other bits (kernels {digest()}) than those on which the same results were seen "
            f"({TRIED}): results agree with themselves, and with those of its like",
            file=sys.stderr,
        )


def _of(arrays: Iterable[Any]) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:12]
