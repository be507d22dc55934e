"""What the bits of a result were computed with: libraries, dispatch, and a digest of what the kernels compute.

MKL has other kernels for Intel than for AMD, whatever it is told, so what the kernels compute is itself part of a
study's identity.
"""

import hashlib
import os
import platform
from functools import cache
from importlib.metadata import version

from reprotune.arithmetic.dispatch import DISPATCH

LIBRARIES = ("cmaes", "greenlet", "numpy", "optuna", "scipy", "thop", "torch")  # greenlet: GP sampler's sums


def environment(device: str) -> dict[str, str]:
    """What, beside code, params and data, the bits of a trial on this device depend on."""
    versions = {library: version(library) for library in LIBRARIES}
    dispatch = {name: os.environ.get(name, "") for name in DISPATCH}
    return {"machine": platform.machine(), "device": _hardware(device), "kernels": digest()} | versions | dispatch


def _hardware(device: str) -> str:
    """cpu, or the GPU's name: another model of GPU has other kernels."""
    if device == "cpu":
        return device
    from torch import cuda

    return cuda.get_device_name(device)


@cache
def digest() -> str:
    """Digest of the bits that this processor gives to the operations which samplers and training are made of."""
    import numpy as np
    import torch
    from torch.nn import functional as F

    generator = torch.Generator().manual_seed(0)
    shapes = ((128, 1, 28, 28), (8, 1, 3, 3), (16, 8, 3, 3), (784, 66), (66, 10))
    images, *weights = (torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    maps = F.max_pool2d(F.batch_norm(F.conv2d(images, weights[0], padding=1), None, None, training=True).relu(), 2)
    maps = F.conv2d(maps, weights[1], padding=1).sigmoid().mean((1, 2, 3), keepdim=True)
    logits = (images + maps).flatten(1).mm(weights[2]).relu().mm(weights[3])
    torch.autograd.backward(logits.log_softmax(1).square().mean())
    tensors = (logits, *(weight.grad for weight in weights), images.abs().sqrt(), images.exp())
    arrays = [tensor.detach().numpy() for tensor in tensors if tensor is not None]
    matrix = arrays[0].astype(np.float64)
    arrays += [matrix.T @ matrix, np.exp(matrix), np.log(np.abs(matrix) + 1), np.linalg.cholesky(np.cov(matrix.T))]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:12]
