"""What decides bits is fixed, recorded, and noticed where it differs."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT, make_execution

from reprotune.arithmetic import dispatch, kernels
from reprotune.execution import engines


def test_the_dispatch_is_fixed() -> None:
    arithmetic = kernels.environment("cpu")
    assert arithmetic["ATEN_CPU_CAPABILITY"] == "avx2"
    assert arithmetic["OMP_NUM_THREADS"] == "1"
    assert set(kernels.LIBRARIES) <= set(arithmetic)


@pytest.mark.parametrize(("name", "value"), [("MKL_CBWR", "COMPATIBLE"), ("OPENBLAS_CORETYPE", "Nehalem")])
def test_other_kernels_are_noticed(name: str, value: str) -> None:
    """By what they compute, which no list of processors and variables could tell."""
    command = [sys.executable, "-c", "from reprotune.arithmetic import kernels; print(kernels.digest())"]
    found = subprocess.run(
        command, cwd=ROOT, env=os.environ | {name: value}, capture_output=True, text=True, check=True
    )
    assert len(found.stdout.strip()) == len(kernels.digest())
    assert found.stdout.strip() != kernels.digest()


def test_a_value_that_the_user_set_is_kept_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with engines.started(make_execution()):
        assert capsys.readouterr().err == ""
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    dispatch.pin()
    with engines.started(make_execution()):
        assert capsys.readouterr().err == "MKL_CBWR is COMPATIBLE, not AVX2: other bits, so another study\n"
