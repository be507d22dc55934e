"""A checkout has the bytes of the commit, whatever the git that made it is set to."""

import subprocess

from conftest import ROOT


def test_no_file_has_other_line_endings_than_its_commit() -> None:
    """DVC and a study's identity know files by their bytes; `core.autocrlf`, as on Windows, would change them all."""
    listed = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        facts, _, name = line.partition("\t")
        index, _, *attributes = facts.split()
        assert index in ("i/lf", "i/none", "i/-text"), name
        assert attributes == ["attr/text=auto", "eol=lf"], name
