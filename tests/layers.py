"""What imports what, read from the source."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("reprotune", "stages")


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


def modules(path: Path) -> set[Path]:
    """The project's own files that a file imports, and the packages they lie in."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in PACKAGES:
            found.add(ROOT / parts[0] / "__init__.py")
            found |= {file for file in (ROOT / parts[0] / f"{part}.py" for part in parts[1:2]) if file.exists()}
    return found


def closure(path: Path) -> set[Path]:
    """The file, and all of the project's files that running it imports."""
    seen: set[Path] = set()
    todo = {path, path.with_name("__init__.py")}
    while todo:
        seen |= todo
        todo = {module for file in todo for module in modules(file)} - seen
    return seen
