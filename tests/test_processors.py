"""What `make test-processors` compares between processors, on the one at hand."""

from processors import compare

from reprotune.arithmetic import kernels


def test_the_processor_at_hand() -> None:
    """A process of its own, as on an emulated one, has the kernels of this one."""
    found = compare(quick=True, others=())[""]
    assert found.split()[1] == kernels.digest()
