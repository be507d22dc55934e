"""What imports what, read from the source."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("reprotune", "stages")


@cache
def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it, except for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    typing_only = {node for block in blocks for child in block.body for node in ast.walk(child)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def modules(path: Path) -> set[Path]:
    """The project's own files that a file imports, without the packages that they lie in."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in PACKAGES:
            longest = [ROOT.joinpath(*parts[:length]).with_suffix(".py") for length in range(len(parts), 1, -1)]
            found |= set([file for file in longest if file.exists()][:1])
    return found


def closure(path: Path) -> set[Path]:
    """The file, and all of the project's files that running it imports."""
    seen: set[Path] = set()
    todo = {path}
    while todo:
        todo |= {folder / "__init__.py" for file in todo for folder in file.parents if ROOT in folder.parents}
        seen |= todo
        todo = {module for file in todo for module in modules(file)} - seen
    return seen


def room(path: Path) -> str:
    """The folder of the library that a file lies in, however deep; what lies in none is the ground."""
    inside = path.relative_to(ROOT).parts
    return inside[1] if inside[0] == "reprotune" and len(inside) > 2 else "ground"
