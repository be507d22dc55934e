"""What decides bits is fixed, recorded, and noticed where it differs."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy
from conftest import HEAVY, ROOT, make_execution

from reprotune.arithmetic import dispatch, kernels
from reprotune.errors import UserError
from reprotune.execution import engines


def test_the_dispatch_is_fixed() -> None:
    arithmetic = kernels.environment("cpu")
    assert arithmetic["ATEN_CPU_CAPABILITY"] == "avx2"
    assert arithmetic["OMP_NUM_THREADS"] == "1"
    assert set(kernels.LIBRARIES) <= set(arithmetic)


def digests(**variables: str) -> list[str]:
    """Both digests, as a process with other variables has them, and the modules that it took for them."""
    command = "import sys; from reprotune.arithmetic import kernels; "
    command += "print(kernels.digest(), kernels.digest_of_float64(), *sys.modules)"
    environment = os.environ | variables
    found = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return found.stdout.split()


def test_the_promise_was_tried_on_this_processor_or_the_stage_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernels, "TRIED", kernels.digest())
    kernels.warn_if_untried()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(kernels, "TRIED", "0" * 12)
    kernels.warn_if_untried()
    assert capsys.readouterr().err.startswith(f"this processor computes other bits (kernels {kernels.digest()}) than")


def test_other_kernels_are_noticed() -> None:
    """By what they compute, which no list of processors and variables could tell."""
    assert digests(OPENBLAS_CORETYPE="Nehalem")[0] != kernels.digest()


def test_mkl_has_no_part_in_training() -> None:
    """Whichever of its kernels it takes: the lowest common ones are not those of any processor."""
    common, float64, *modules = digests(MKL_CBWR="COMPATIBLE")
    assert common == kernels.digest()
    assert float64 != kernels.digest_of_float64()  # the sampler gp's
    assert HEAVY.intersection(modules) == {"scipy", "torch"}


@pytest.mark.parametrize("library", [np, scipy])
def test_openblas_keeps_its_core_type(library: Any) -> None:
    """From 0.3.34 on it takes other kernels on Zen 4 and 5 than the variable says (OpenBLAS issue 6021)."""
    blas = library.show_config(mode="dicts")["Build Dependencies"]["blas"]
    assert "openblas" in blas["name"]
    assert tuple(map(int, blas["version"].split(".")[:3])) < (0, 3, 34)


def test_an_arithmetic_of_ones_own_is_refused_unless_it_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    with engines.started(make_execution()):
        pass
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    dispatch.pin()
    line = r"^environment: OMP_NUM_THREADS = '4': must be '1' or unset, or set execution.own_arithmetic to true, .*$"
    with pytest.raises(UserError, match=line):
        engines.started(make_execution())
    before = kernels.environment("cpu")
    with engines.started(make_execution(own_arithmetic=True)):
        assert kernels.environment("cpu") == before | {"OMP_NUM_THREADS": "4"}


@pytest.mark.parametrize("name", dispatch.UNSET)
def test_what_is_not_to_be_set_is_refused_and_belongs_to_the_arithmetic(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = kernels.environment("cpu")
    monkeypatch.setenv(name, "1")
    with pytest.raises(UserError, match=rf"^environment: {name} = '1': must be unset, or set execution.own_arithmetic"):
        engines.started(make_execution())
    assert kernels.environment("cpu") == before | {name: "1"}
