"""DVC in a team, as docs/dvc.md says it: a shared cache, merged branches, experiments that are sent."""

import shutil
import subprocess
import sys
from copy import copy
from pathlib import Path

import pytest
from clone import Clone
from ruamel.yaml import YAML

pytestmark = pytest.mark.cluster

STAGE = "single_objective"
TRIALS = 4
BY_HAND = (sys.executable, "-m", f"stages.{STAGE}")


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with data, and without results."""
    folder = tmp_path_factory.mktemp("downloaded") / "clone"
    folder.mkdir()
    clone = Clone(folder, TRIALS)
    shutil.rmtree(clone.path / "results")
    clone.change(STAGE, finalists={"count": 0, "repeats": 1})
    clone.run("dvc", "repro", "download")
    clone.commit("Data")
    return clone


def placed(clone: Clone, at: Path) -> Clone:
    other = copy(clone)
    other.path, other.refused = at, at / ".git/refused"
    return other


@pytest.fixture
def one(downloaded: Clone, tmp_path: Path) -> Clone:
    """A copy of it, with its own cache, in which a person commits."""
    return identified(placed(downloaded, Path(shutil.copytree(downloaded.path, tmp_path / "one", symlinks=True))))


def identified(clone: Clone) -> Clone:
    git(clone, "config", "user.name", "test")
    git(clone, "config", "user.email", "test@example.org")
    return clone


def git(clone: Clone, *arguments: str) -> str:
    return clone.run("git", *arguments)


def cloned(clone: Clone, at: Path) -> Clone:
    subprocess.run(["git", "clone", "--quiet", str(clone.path), str(at)], check=True)
    return identified(placed(clone, at))


def test_a_shared_cache_with_links(one: Clone, tmp_path: Path) -> None:
    """A colleague's clone takes what is there, and a run of hers changes nothing in it."""
    for key, value in (("dir", str(tmp_path / "cache")), ("type", "symlink,hardlink"), ("shared", "group")):
        one.run("dvc", "config", f"cache.{key}", value)
    one.run("dvc", "repro", STAGE)
    one.commit("Results")
    trials = f"results/{STAGE}/trials.csv"
    assert (one.path / trials).is_symlink()
    found = one.results()

    other = cloned(one, tmp_path / "other")
    other.run("dvc", "checkout", "download", STAGE)
    assert "up to date" in other.run("dvc", "repro", STAGE)
    assert (other.path / trials).samefile(one.path / trials)
    other.change(STAGE, n_trials=TRIALS + 1)
    other.run("dvc", "repro", STAGE)
    assert other.results() != found
    assert one.results() == found
    assert "up to date" in one.run("dvc", "status", "download", STAGE)

    apart = cloned(one, tmp_path / "apart")  # with another cache, which is empty
    apart.run("dvc", "config", "--local", "cache.dir", str(tmp_path / "empty"))
    apart.run("dvc", "repro", STAGE)
    assert apart.results() == found
    assert apart.status() == ""


def test_two_branches_with_other_params_are_merged(one: Clone) -> None:
    """Git merges no dvc.lock, even where it could; a run settles it."""
    one.run("dvc", "repro", STAGE)
    one.commit("Results")
    for branch, changes in (("theirs", {"pruner": "none"}), ("ours", {"n_trials": TRIALS + 1})):
        git(one, "checkout", "--quiet", "-b", branch, "HEAD" if branch == "theirs" else "HEAD~1")
        one.change(STAGE, **changes)
        one.run("dvc", "repro", STAGE)
        one.commit(branch)
    assert "CONFLICT" in one.run("git", "merge", "theirs", code=1)
    assert "UU dvc.lock" in one.status()
    assert "<<<<" not in (one.path / "dvc.lock").read_text()
    one.run("dvc", "repro", STAGE)
    one.commit("Merged")
    params = YAML(typ="safe").load(one.path / "params.yaml")[STAGE]
    assert (params["pruner"], params["n_trials"]) == ("none", TRIALS + 1)
    merged = one.results()
    for name in ("results", "studies"):
        shutil.rmtree(one.path / name)
    one.run(*BY_HAND)
    assert one.results() == merged


def test_an_experiment_is_pushed_and_applied_elsewhere(one: Clone, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin")], check=True)
    git(one, "remote", "add", "origin", str(tmp_path / "origin"))
    one.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    one.change("multi_objective", finalists={"count": 0, "repeats": 1})
    one.commit("A remote")
    git(one, "push", "--quiet", "--all", "origin")
    one.run("dvc", "push")
    one.run("dvc", "exp", "run", "--name", "longer", "-S", f"{STAGE}.n_trials={TRIALS + 1}")
    found = one.results()
    one.run("dvc", "exp", "push", "origin", "longer")

    other = cloned(placed(one, tmp_path / "origin"), tmp_path / "other")
    assert "longer" in other.run("dvc", "exp", "list", "origin")
    other.run("dvc", "exp", "pull", "origin", "longer")
    other.run("dvc", "exp", "apply", "longer")
    assert "up to date" in other.run("dvc", "repro")
    assert other.results() == found


def test_two_experiments_of_the_queue_at_once(one: Clone) -> None:
    """They share the cores and MLflow's store, and each has the bytes that it has alone."""
    lengths = (TRIALS, TRIALS + 1)
    for n_trials in lengths:
        one.run("dvc", "exp", "run", "--queue", "--name", f"of-{n_trials}", "-S", f"{STAGE}.n_trials={n_trials}", STAGE)
    one.run("dvc", "queue", "start", "--jobs", "2")
    for n_trials in lengths:
        one.run("dvc", "queue", "logs", "--follow", f"of-{n_trials}")
    assert sorted(sum(runs.values()) for runs in one.statuses(STAGE)) == list(lengths)
    shown = one.run("dvc", "exp", "show", "--csv")
    assert all(f"of-{n_trials}" in shown for n_trials in lengths)
    for n_trials in lengths:
        # Not by `dvc exp apply`, which fails over the outs of the other stages, as none has run here.
        one.run("dvc", "exp", "branch", f"of-{n_trials}", f"branch-{n_trials}")
        git(one, "checkout", "--quiet", "--force", f"branch-{n_trials}")
        one.run("dvc", "checkout", "--force", STAGE)
        found = one.results()
        assert found
        for name in ("results", "studies"):
            shutil.rmtree(one.path / name, ignore_errors=True)
        one.run(*BY_HAND)
        assert one.results() == found
