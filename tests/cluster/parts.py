"""What a test of this folder needs of the machine; where it is missing, the test is skipped and says how to get it."""

import re
import shutil
from importlib.util import find_spec

import pytest
from conftest import ROOT

PACKAGES = "uv pip install --python .venv/bin/python --group {} --constraint requirements.txt"


def need(programs: str = "", from_debian: str = "", modules: str = "", group: str = "cluster") -> None:
    """programs: in PATH, from Debian's packages `from_debian`; modules: Python's, from a group of pyproject.toml."""
    if missing := [name for name in programs.split() if not shutil.which(name)]:
        pytest.skip(f"{', '.join(missing)}: missing; apt-get install {from_debian}")
    if missing := [name for name in modules.split() if not find_spec(name)]:
        pytest.skip(f"{', '.join(missing)}: missing; {PACKAGES.format(group)}")


def documented(page: str, part: str, changes: dict[str, str]) -> str:
    """The block of code of a page that has this in it, with what a person would put in it."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if part in block]
    for before, after in changes.items():
        assert before in block
        block = block.replace(before, after)
    return str(block)
