"""What fixes the bits of a result: the libraries' dispatch, their threads and their versions.

The same program gives other last bits on another x86-64 processor, because MKL, oneDNN, ATen, OpenBLAS
and NumPy each choose their kernels by what the processor can do. Here they are all held to AVX2.
"""

import os
import platform
from importlib.metadata import version

# Read by the libraries as they load, so `fix()` must run before any of them is imported.
DISPATCH = {
    "MKL_CBWR": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OMP_NUM_THREADS": "1",  # a sum split over threads is rounded in another order
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS repeats its bits in a workspace of fixed size only
}
LIBRARIES = ("cmaes", "numpy", "optuna", "scipy", "thop", "torch")


def fix() -> None:
    """Hold every library to the same kernels. A value that the user set stays, and counts as another arithmetic."""
    for name, value in DISPATCH.items():
        os.environ.setdefault(name, value)


def arithmetic(device: str) -> dict[str, str]:
    """What, beside code, params and data, the bits of a trial on this device depend on."""
    versions = {library: version(library) for library in LIBRARIES}
    dispatch = {name: os.environ.get(name, "") for name in DISPATCH}
    return {"machine": platform.machine(), "device": _hardware(device)} | versions | dispatch


def _hardware(device: str) -> str:
    """cpu, or the GPU's name: another model of GPU has other kernels."""
    if device == "cpu":
        return device
    from torch import cuda

    return cuda.get_device_name(device)
