"""The variables that hold each library to one set of kernels, and to one thread.

The same program gives other last bits on another x86-64 processor, because MKL, oneDNN, ATen, OpenBLAS
and NumPy each choose their kernels by what the processor can do. Here they are all held to AVX2.
"""

import os

# Read by the libraries as they load, so `pin()` must run before any of them is imported.
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

# These choose other kernels or a coarser arithmetic, if they are set at all; most of them on a GPU.
UNSET = (
    "NPY_ENABLE_CPU_FEATURES",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_CUDNN_USE_HEURISTIC_MODE_B",
    "TORCH_CUDNN_V8_API_DISABLED",
    "PYTORCH_TUNABLEOP_ENABLED",
)


def pin() -> None:
    """Hold every library to the same kernels. A value that the user set stays, and counts as another arithmetic."""
    for name, value in DISPATCH.items():
        os.environ.setdefault(name, value)


def overridden() -> dict[str, str]:
    """The variables that the user's environment holds to another value than `DISPATCH`, or that are not `UNSET`."""
    other = [name for name, value in DISPATCH.items() if os.environ.get(name, value) != value]
    return {name: os.environ[name] for name in (*other, *UNSET) if name in os.environ}


def allowed(name: str) -> str:
    """What one of them must be."""
    return f"{DISPATCH[name]!r} or unset" if name in DISPATCH else "unset"
