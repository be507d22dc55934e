"""The documents name what is there, and say the same in both languages."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, committed
from ruamel.yaml import YAML

from reprotune.results import digest

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
REFERENCES = ("docs/reference.md", "docs/reference.ko.md")
WITH_PICTURE = (*REFERENCES, "CONTRIBUTING.md", "docs/structure.md")
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
TRANSLATED = [path for path in DOCUMENTS if path.with_suffix(".ko.md").exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert not [t for t in targets if not t.startswith("http") and not (path.parent / t).exists()]


def anchors(path: Path) -> set[str]:
    """What a link may name after the #, as GitHub makes it from a heading."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_links_lead_to_a_heading(path: Path) -> None:
    targets = re.findall(r"\]\((?!http)([^)#\s]*)#([^)\s]+)\)", path.read_text(encoding="utf-8"))
    assert not [(file, name) for file, name in targets if name not in anchors(path.parent / file if file else path)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_commands_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"[`\n]make ([a-z-]+)", text)) <= targets
    modules = re.findall(r"python -m ((?:stages|benchmarks)\.\w+)", text)
    assert not [m for m in modules if m != "stages.NAME" and not (ROOT / f"{m.replace('.', '/')}.py").exists()]


def test_each_target_is_named_with_its_plain_command() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for name in REFERENCES:
        rows = re.findall(r"^\| `make ([a-z-]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        assert {"help", *rows} == set(targets)


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_keys_exist(path: Path) -> None:
    sections = YAML(typ="safe").load(committed("params.yaml"))
    code = " ".join(re.findall(r"`[^`\n]+`", path.read_text(encoding="utf-8")))
    named = re.findall(r"[`\s](\w+)\.(?!json)(\w+)\b", code)
    assert not [(section, key) for section, key in named if section in sections and key not in sections[section]]


def test_numbers_are_those_of_the_committed_run() -> None:
    readme, tour = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/tour.md"))
    scores = json.loads(committed("results/evaluation/metrics.json"))
    for score in (scores[name]["test_accuracy"] for name in ("best", "default")):
        for text in (readme, tour):
            assert f"{score['mean']:.4f} ± {score['std']:.4f}" in text
    study = json.loads(committed("results/single_objective/metrics.json"))
    assert f"the highest accuracy on `valid` was {study['best_accuracy']:.4f}" in tour
    assert f"Of {study['trials']} trials {study['pruned']} were pruned" in tour


def block(path: Path, beginning: str) -> list[str]:
    """The lines of the first block of code that begins so."""
    text = path.read_text(encoding="utf-8")
    return text[text.index(f"{beginning}") :].partition("\n```")[0].splitlines()


def test_the_picture_of_the_rooms_is_the_same_everywhere_and_names_them_all() -> None:
    pictures = [block(ROOT / name, "                  arithmetic ") for name in WITH_PICTURE]
    assert all(picture == pictures[0] for picture in pictures)
    rooms = {path.parent.name for path in (ROOT / "reprotune").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"\w+", "\n".join(pictures[0])))


@pytest.mark.parametrize("name", REFERENCES)
def test_the_tree_is_what_is_there(name: str) -> None:
    tree = block(ROOT / name, "dvc.yaml   ")
    assert len(tree) <= 40
    depths = {len(line) - len(line.lstrip()) for line in tree}
    assert depths == {0, 2}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {file.split("/")[0] for file in tracked if "/" in file and not file.startswith(".")} - {"images"}
    assert folders <= {word.split("/")[0] for line in tree for word in line.split("  ")[0].split(", ")}
    named = [line.split()[0].rstrip("/") for line in tree if line.startswith("  ")]
    assert {path.parent.name for path in (ROOT / "reprotune").glob("*/__init__.py")} <= set(named)


def test_the_reference_shows_dvcs_picture_of_the_stages() -> None:
    command = [sys.executable, "-m", "dvc", "dag", "--mermaid"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(block(ROOT / name, "flowchart TD") == shown.strip().splitlines() for name in REFERENCES)


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_digest_is_that_of_the_commit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = digest.of_commit()
    if found is None:
        pytest.skip("an archive has no commit")
    assert f"results {found[:12]}: the bytes of this commit" in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_both_languages_name_the_same(path: Path) -> None:
    """Code, numbers and links."""
    one, other = (file.read_text(encoding="utf-8") for file in (path, path.with_suffix(".ko.md")))
    for pattern in (r"`[^`\n]+`", r"(?<![\w.])\d[\d,]*\.?\d+", r"\]\(([^)]+\.(?:py|svg))"):
        assert Counter(re.findall(pattern, one)) == Counter(re.findall(pattern, other))


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_both_languages_have_the_same_structure(path: Path) -> None:
    """Headings, rows of tables, items of lists, pictures and blocks of code, in the same order."""
    part = r"^(#+ |\||\d\. | *- |!\[| *```\w*)"
    one, other = (file.read_text(encoding="utf-8") for file in (path, path.with_suffix(".ko.md")))
    assert re.findall(part, one, re.MULTILINE) == re.findall(part, other, re.MULTILINE)


@pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)
def test_the_korean_keeps_to_its_terms(path: Path) -> None:
    """One word each for trial, window, pruning and net, and one level of politeness."""
    other_words = r"시행|프루닝|심장|계수기|예열|세요\b|(?<![가-힣])[망창](?:[은이을과의에]|\b)"
    assert re.findall(other_words, path.with_suffix(".ko.md").read_text(encoding="utf-8")) == []


def test_the_readme_is_short() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md")]
    assert all(len(text.splitlines()) <= 120 for text in texts)
