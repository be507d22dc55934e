"""Imports run one way, from room to room and within each; and dvc.yaml declares what each stage imports."""

import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from layers import PACKAGES, ROOT, closure, imports, modules, room
from ruamel.yaml import YAML

# A room a line: the libraries that it may import, whose rooms may import those of the lines above. Two in one tuple
# do not import each other.
ROOMS: tuple[dict[str, str], ...] = (
    {"ground": "filelock psutil pydantic pydantic_core ruamel"},
    {"arithmetic": "numpy scipy torch"},
    {"data": "PIL mlxtend numpy pydantic torch torchvision"},
    {
        "training": "annotated_types numpy pydantic safetensors thop torch",
        "execution": "dask distributed joblib tlz",
    },
    {"search": "numpy optuna pydantic torch"},
    {"results": "optuna ruamel"},
    {
        "tracking": "mlflow optuna_integration sqlalchemy",
        "figures": "PIL matplotlib numpy optuna rich",
        "advice": "",
    },
    {"pipeline": "jinja2 markupsafe rich safetensors torch"},
)
LIBRARIES = {name: set(libraries.split()) for level in ROOMS for name, libraries in level.items()}
LEVEL = {name: number for number, level in enumerate(ROOMS) for name in level}
FILES = sorted((ROOT / "reprotune").rglob("*.py"))
FOLDERS = sorted({path.parent for path in FILES if room(path) != "ground"})  # the rooms, and those within them
STAGES = sorted((ROOT / "stages").glob("[!_]*.py"))
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_folder_is_a_room_and_none_is_crowded() -> None:
    rooms = {folder for folder in (ROOT / "reprotune").iterdir() if folder.is_dir() and folder.name != "__pycache__"}
    assert {folder.name for folder in rooms} | {"ground"} == set(LEVEL)
    for folder in FOLDERS:
        ideas = [path for path in folder.iterdir() if path.suffix in (".py", ".j2") and path.name != "__init__.py"]
        assert len(ideas) <= 10  # and __init__.py, which is the folder's name


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_run_one_way(path: Path) -> None:
    if path == ROOT / "reprotune/__init__.py":  # it alone reaches up, to fix the arithmetic before all else
        assert modules(path) == {ROOT / "reprotune/arithmetic/dispatch.py"}
        return
    for module in modules(path):
        assert room(module) == room(path) or LEVEL[room(module)] < LEVEL[room(path)], name(module)
        # A folder in a room, as search/study, lies above the room's own files.
        assert room(module) != room(path) or module.parent in path.parents, name(module)
    libraries = {found.split(".")[0] for found in imports(path)} - sys.stdlib_module_names - set(PACKAGES)
    assert libraries <= LIBRARIES[room(path)]
    assert not any(found.startswith("stages") for found in imports(path))


def test_what_is_imported_is_declared() -> None:
    def canonical(requirement: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split("[=<>;[ ]", requirement)[0]).lower()

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    known, of = {canonical(requirement) for requirement in declared}, packages_distributions()
    for library in set[str]().union(*LIBRARIES.values()):
        assert known & {canonical(distribution) for distribution in of[library]}, library


@pytest.mark.parametrize("inside", LEVEL)
def test_no_room_imports_in_a_circle(inside: str) -> None:
    graph = {path: {m for m in modules(path) if room(m) == inside} for path in FILES if room(path) == inside}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_room_says_what_it_is_for_and_imports_nothing(folder: Path) -> None:
    path = folder / "__init__.py"
    assert "In: " in path.read_text()
    assert "Out: " in path.read_text()
    assert not imports(path)


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_no_stage_imports_a_stage(path: Path) -> None:
    assert not any(found.startswith("stages") for found in imports(path))
    assert len(path.read_text().splitlines()) <= 80


def loaded(names: str) -> set[str]:
    """The libraries that are loaded with what a stage imports before its first trial, or at all."""
    code = f"import sys; {names}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split()
    )


def test_a_stage_begins_without_what_it_needs_later() -> None:
    """Each of these takes from a tenth of a second to two seconds, which the first trial would wait for."""
    late = {"distributed", "joblib", "matplotlib", "mlflow", "pandas", "scipy", "sklearn", "sqlalchemy", "torch"}
    late |= {"thop", "torchvision"}
    names = (
        "from reprotune import cli; from reprotune.execution import engines; from reprotune.pipeline import run_study; "
        "from reprotune.pipeline import evaluation, verify; from stages import evaluate, single_objective"
    )
    assert not late & loaded(names)


def test_the_stage_download_needs_neither_torch_nor_mlflow() -> None:
    assert not {"mlflow", "torch", "optuna"} & loaded("from reprotune.data import datasets, stored")


def test_only_evaluate_reads_the_test_split() -> None:
    readers = {name(path) for path in FILES + STAGES if 'load("test"' in path.read_text()}
    users = {path.stem for path in STAGES if ROOT / "reprotune/pipeline/evaluation.py" in closure(path)}
    assert readers == {"reprotune/pipeline/evaluation.py"}
    assert users == {"evaluate", "report", "tracking"}  # the latter two show and log what the former wrote


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_declares_the_rooms_that_it_uses_and_no_others(stage: str) -> None:
    code = {dep for dep in PIPELINE[stage]["deps"] if dep.split("/")[0] in PACKAGES}
    used = closure(ROOT / "stages" / f"{stage}.py")
    assert {name(path) if room(path) == "ground" else f"reprotune/{room(path)}" for path in used} == code


def test_params_that_do_not_determine_results_are_not_tracked() -> None:
    tracked = {key for stage in PIPELINE.values() for key in stage["params"]}
    assert "execution.window" in tracked
    assert not tracked & {"execution", "execution.workers", "execution.engine", "execution.scheduler", "data.mirror"}
