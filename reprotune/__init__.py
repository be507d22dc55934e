"""Reproducible hyperparameter search: Optuna, PyTorch, DVC and MLflow, the same bytes whatever the workers."""

from reprotune import bits

bits.fix()  # before any module of this package can import torch or numpy
