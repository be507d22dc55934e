"""Its clocks are put around functions that it names."""

import pytest

from benchmarks.breakdown import PARTS


@pytest.mark.parametrize(("part", "owner", "name"), PARTS)
def test_what_is_timed_is_there(part: str, owner: object, name: str) -> None:
    assert callable(getattr(owner, name))
