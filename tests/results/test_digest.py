"""The digest is of the files themselves, by DVC's own sums."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

from reprotune.errors import UserError
from reprotune.results import digest
from stages import advise, summary


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit whose dvc.lock was written by DVC itself, and the files that it lists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/figures/below").mkdir(parents=True)
    (tmp_path / "results/a.csv").write_text("hello")
    (tmp_path / "results/figures/ü.svg").write_text("two")
    (tmp_path / "results/figures/below/b.svg").write_text("three")
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: 'true', outs: [results/a.csv, results/figures]}}")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "commit", "-q", "-f"], ["git", "add", "-A"]):
        subprocess.run(command, check=True, capture_output=True)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, "commit", "-q", "-m", "results"], check=True)
    return tmp_path


def test_the_files_of_a_commit_have_its_digest(clone: Path) -> None:
    committed = digest.of_commit()
    assert committed == digest.of_files()
    (clone / "results/figures/below/b.svg").write_text("four")
    assert digest.of_files() != committed
    (clone / "results/figures/below/b.svg").write_text("three")
    (clone / "results/a.csv").write_text("hello!")
    assert digest.of_files() != committed == digest.of_commit()
    (clone / "results/a.csv").unlink()
    with pytest.raises(OSError, match=r"results/a\.csv"):
        digest.of_files()


PIPELINE = """
stages:
  evaluate: {cmd: 'true', params: [evaluate.seeds, model], deps: [results/best], outs: [results/scores]}
  report: {cmd: 'true', deps: [results/scores], outs: [results/report.html]}
  other: {cmd: 'true', outs: [results/other]}
"""


def test_whether_results_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a study ran alone since, or a stage was interrupted before it made its files anew."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("evaluate: {seeds: 5}\nmodel: {width: 8, lr: 0.00001}\n")
    assert digest.changed() == Path("results/report.html")
    assert digest.changed_param() is None
    (tmp_path / "results").mkdir()
    for name in ("best", "scores", "other", "report.html"):
        (tmp_path / f"results/{name}").write_text(name)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "commit", "-q", "-f"]):
        subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "results/other").unlink()
    assert digest.changed() is None
    assert digest.changed_param() is None
    (tmp_path / "params.yaml").write_text("evaluate: {seeds: 5}\nmodel: {width: 8, lr: 0.1}\n")
    assert digest.changed_param() == "params.yaml: model"
    (tmp_path / "results/scores").unlink()
    assert digest.changed() == Path("results/scores")
    (tmp_path / "results/scores").write_text("of another evaluation")
    subprocess.run(["dvc", "commit", "-q", "-f", "evaluate"], check=True, capture_output=True)
    assert digest.changed() == Path("results/scores")  # the report was made of others
    (tmp_path / "results/best").write_text("another")
    assert digest.changed() == Path("results/best")
    for stage in (advise, summary):
        with pytest.raises(UserError, match=r"^results/best: is missing, or not what it was at the last report: "):
            stage.main()


def test_without_git_or_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert digest.of_commit() is None
    with pytest.raises(UserError, match=r"^dvc.lock: is not there; `dvc repro` makes it$"):
        digest.of_files()
    for lock in (
        "schema: '2.0'\n",
        "stages: {download: {cmd: x, outs: [{path: data/mnist_5k, md5: a}]}}",
        "stages: {a: {}}",
    ):
        (tmp_path / "dvc.lock").write_text(lock)
        with pytest.raises(UserError, match=r"^dvc.lock: has no results; `dvc repro` makes them$"):
            digest.of_files()
    for lock in ("", "stages:\n<<<<<<< HEAD\n", "stages: [1]", "stages: {a: {outs: [{path: results/a}]}}"):
        (tmp_path / "dvc.lock").write_text(lock)
        with pytest.raises(UserError, match=r"^dvc.lock: is not as DVC writes it; `git checkout dvc.lock` brings"):
            digest.of_files()
    shutil.copy(ROOT / "dvc.lock", tmp_path)
    with pytest.raises(OSError, match="results/"):
        digest.of_files()
