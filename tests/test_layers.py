"""Imports point down only, and dvc.yaml declares what each stage imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from layers import ROOT, closure, imports
from ruamel.yaml import YAML

# Each module may import those of the lines above its own, and `study` those of its own line's left.
LAYERS = (
    ("errors", "artifacts", "bits", "curve"),
    ("params", "cli", "store", "figure", "pool"),
    ("splits", "originals", "augmentation", "local", "connection"),
    ("published", "image_folder"),
    ("datasets",),
    ("models", "cost"),
    ("training",),
    ("exported",),
    ("worker", "search_space", "pareto", "samplers"),
    ("pruners", "front_plot"),
    ("trial", "cluster"),
    ("engine",),
    ("journal",),
    ("spec",),
    ("study",),
    ("results", "tracking", "records", "importances", "parallel_coordinates"),
    ("plots", "progress", "notes"),
    ("evaluation", "overview", "session"),
    ("verify", "report"),
)
ONLY = {
    "mlflow": {"store", "tracking"},
    "optuna_integration": {"tracking"},
    "optuna": {
        "importances",
        "journal",
        "parallel_coordinates",
        "pareto",
        "pruners",
        "records",
        "samplers",
        "search_space",
        "study",
    },
    "distributed": {"cluster", "connection", "worker"},
    "torchvision": {"originals", "published"},
    "PIL": {"image_folder", "overview"},
    "mlxtend": {"datasets"},
    "thop": {"cost"},
    "matplotlib": {"figure", "parallel_coordinates"},
}
MODULES = sorted((ROOT / "reprotune").glob("[!_]*.py"))
STAGES = sorted((ROOT / "stages").glob("[!_]*.py"))
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


def test_every_module_has_its_layer() -> None:
    assert {path.stem for path in MODULES} == {name for layer in LAYERS for name in layer}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_down(path: Path) -> None:
    height = {name: level for level, layer in enumerate(LAYERS) for name in layer}
    parts = (name.split(".") for name in imports(path))
    imported = {p[1] for p in parts if p[0] == "reprotune" and p[1] in height}
    assert all(height[name] < height[path.stem] for name in imported)
    assert not any(name.startswith("stages") for name in imports(path))


@pytest.mark.parametrize(("library", "allowed"), ONLY.items())
def test_libraries_stay_in_their_modules(library: str, allowed: set[str]) -> None:
    users = {path.stem for path in MODULES + STAGES if any(name.split(".")[0] == library for name in imports(path))}
    assert users <= allowed


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_no_stage_imports_a_stage(path: Path) -> None:
    assert not any(name.startswith("stages") for name in imports(path))
    assert len(path.read_text().splitlines()) <= 80


def test_a_stage_begins_without_what_it_needs_later() -> None:
    """Each of these takes from a tenth of a second to two seconds, which the first trial would wait for."""
    late = {"distributed", "matplotlib", "mlflow", "pandas", "scipy", "sklearn", "sqlalchemy", "torchvision"}
    code = "import sys; from reprotune import cli, engine, params, datasets, session, spec; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not late & set(loaded.split())


def test_only_evaluate_reads_the_test_split() -> None:
    readers = {path.stem for path in MODULES + STAGES if 'load("test"' in path.read_text()}
    users = {path.stem for path in MODULES + STAGES if "reprotune.evaluation" in imports(path)}
    assert readers == {"evaluation"}
    assert users == {"evaluate", "report"}  # the latter shows and logs what the former wrote


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_declares_what_it_imports(stage: str) -> None:
    declared = {dep for dep in PIPELINE[stage]["deps"] if dep.endswith(".py")}
    assert declared == {str(path.relative_to(ROOT)) for path in closure(ROOT / "stages" / f"{stage}.py")}


def test_params_that_do_not_determine_results_are_not_tracked() -> None:
    tracked = {key for stage in PIPELINE.values() for key in stage["params"]}
    assert "execution.window" in tracked
    assert not tracked & {"execution", "execution.workers", "execution.engine", "execution.scheduler", "data.mirror"}
