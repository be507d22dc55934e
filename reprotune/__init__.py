"""Reproducible hyperparameter search: Optuna, PyTorch, DVC and MLflow, the same bytes whatever the workers."""

from reprotune.arithmetic import dispatch

dispatch.pin()  # before any module of this package can import torch or numpy
