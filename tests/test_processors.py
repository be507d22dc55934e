"""The same bits on a processor of each maker, under emulation."""

import shutil

import pytest
from processors import MISSING, QEMU, EmulatorCrashed, compare

from reprotune.arithmetic import kernels


@pytest.mark.skipif(not shutil.which(QEMU), reason=MISSING)
def test_one_digest_on_processors_of_both_makers() -> None:
    try:
        found = compare(quick=True)
    except EmulatorCrashed as crashed:
        pytest.skip(str(crashed))
    assert len(set(found.values())) == 1, found
    assert {line.split()[1] for line in found.values()} == {kernels.TRIED}
