"""What decides bits is fixed, recorded, and noticed where it differs."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

from reprotune import bits, cli


def test_the_dispatch_is_fixed() -> None:
    arithmetic = bits.arithmetic("cpu")
    assert arithmetic["ATEN_CPU_CAPABILITY"] == "avx2"
    assert arithmetic["OMP_NUM_THREADS"] == "1"
    assert set(bits.LIBRARIES) <= set(arithmetic)


@pytest.mark.parametrize(("name", "value"), [("MKL_CBWR", "COMPATIBLE"), ("OPENBLAS_CORETYPE", "Nehalem")])
def test_other_kernels_are_noticed(name: str, value: str) -> None:
    """By what they compute, which no list of processors and variables could tell."""
    command = [sys.executable, "-c", "from reprotune import bits; print(bits.kernels())"]
    found = subprocess.run(
        command, cwd=ROOT, env=os.environ | {name: value}, capture_output=True, text=True, check=True
    )
    assert len(found.stdout.strip()) == len(bits.kernels())
    assert found.stdout.strip() != bits.kernels()


def test_a_value_that_the_user_set_is_kept_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(lambda: None)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    bits.fix()
    cli.run(lambda: None)
    assert capsys.readouterr().err == "MKL_CBWR is COMPATIBLE, not AVX2: other bits, so another study\n"
