"""What a person can mend is a `UserError`, told in one line; anything else that is raised is a bug."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

PARAMS = Path("params.yaml")
# As PyTorch words it: its allocators', cuBLAS's and cuDNN's.
_MEMORY = re.compile("out of memory|not enough memory|can't allocate memory|ALLOC_FAILED")

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SPAN = re.compile(rf"\s*({_NUMBER.pattern})\s*(?:-|–|~|:|\.\.+|to)\s*({_NUMBER.pattern})\s*")
_DECLARED = "a plain value, or a mapping whose type is int, float or categorical"
# Pydantic's words for what YAML calls otherwise.
_OF_YAML = {"a valid tuple": "a list", "a valid dictionary": "a mapping", "Tuple": "the list"}


class UserError(Exception):
    """One line: what, where, its value, and what is allowed or what to do."""


class ParamsError(UserError):
    """One line that names the key of params.yaml, shows its value and says what is allowed."""

    def __init__(self, key: str, value: Any, allowed: str) -> None:
        written = value.model_dump(exclude_defaults=True) if isinstance(value, BaseModel) else value
        super().__init__(f"{PARAMS}: {key} = {written!r}: {allowed}")

    def __reduce__(self) -> Any:  # from a worker it comes as its line alone
        return UserError, self.args


def is_shortage(error: BaseException) -> bool:
    """Whether it may pass: too little memory, on the GPU too, or a file that cannot be read, or not in time."""
    if isinstance(error, RuntimeError):
        return bool(_MEMORY.search(str(error)))
    of_a_pool = isinstance(error, TimeoutError) and error.errno is None
    return isinstance(error, MemoryError | OSError) and not of_a_pool


def one_line(told: object) -> str:
    """What an error says, in one line, without the name and password that an address in it may hold."""
    return re.sub(r"(?<=://)[^/?#\s]+@", "", " ".join(str(told).split()))[:500]


def named(names: Sequence[object], most: int = 5) -> str:
    """The first of them, for a line; what cannot be printed in it is escaped."""
    shown = [os.fsencode(str(name)).decode("utf-8", "backslashreplace") for name in names[:most]]
    shown = ["".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name) for name in shown]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: int, what: str) -> str:
    """1 trial, 100 trials."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def first_error(error: ValidationError, content: Any, schema: type[BaseModel]) -> UserError:
    """The first thing that is wrong with params.yaml, which holds `content` and should be as `schema` says."""
    errors = error.errors()
    first = min(errors, key=lambda error: error["type"] == "missing")  # what seems missing may be misspelt
    location = _keys(first, content)
    key = ".".join(location) or "the whole file"
    if first["type"] == "missing":
        return UserError(f"{PARAMS}: {key}: is missing")
    if first["type"] == "extra_forbidden":
        return ParamsError(key, first["input"], f"unknown key; known here: {', '.join(_known_keys(location, schema))}")
    here = [error["msg"] for error in errors if _keys(error, content) == location]  # one for each part of a union
    for word, plain in _OF_YAML.items():
        here = [re.sub(" or instance of .*", "", message.replace(word, plain)) for message in here]
    allowed = ", or ".join(message.removeprefix("Value error, ").removeprefix("Input should ") for message in here)
    if "null" not in allowed and _may_be_null(location, schema):
        allowed += ", or be null"
    return ParamsError(key, first["input"], f"should {allowed}" if here[0].startswith("Input should ") else allowed)


def misdeclared(declared: Any) -> str | None:
    """What is wrong with the form in which a search space declares a hyperparameter, and how it is written; or None."""
    if isinstance(declared, Mapping):
        return None if declared.get("type") in ("int", "float", "categorical") else _mapping(declared)
    if isinstance(declared, list):
        return f"a plain value, or {_choices(declared)}"
    if isinstance(declared, str) and (span := _SPAN.fullmatch(declared)):
        return f"a plain value, or {_range(*span.groups())}"
    if isinstance(declared, str) and _NUMBER.fullmatch(declared.strip()):
        return f"a number is written without quotes: {declared.strip()}"
    return _DECLARED if declared is None else None


def _mapping(declared: Mapping[Any, Any]) -> str:
    if isinstance(choices := declared.get("choices"), list):
        return f"{_DECLARED}, as {_choices(choices)}"
    ends = [str(declared[end]) for end in ("low", "high") if end in declared]
    return f"{_DECLARED}, as {_range(*ends)}" if len(ends) == 2 else _DECLARED


def _choices(values: Sequence[Any]) -> str:
    shown = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    return f"{{type: categorical, choices: [{', '.join(shown)}]}}"


def _range(low: str, high: str) -> str:
    kind = "int" if all(re.fullmatch(r"[-+]?\d+", end) for end in (low, high)) else "float"
    return f"{{type: {kind}, low: {low}, high: {high}}}"


def _keys(error: ErrorDetails, content: Any) -> list[str]:
    """Where it is. Pydantic's location also has the names of a union's parts, which are no keys."""
    found = []
    for part in error["loc"]:
        inside = content if isinstance(content, Mapping) else range(len(content) if isinstance(content, list) else 0)
        if part in inside:
            content = content[part]
        elif error["type"] != "missing" or part != error["loc"][-1]:
            continue
        found.append(str(part))
    return found


def _known_keys(location: list[str], schema: type[BaseModel]) -> list[str]:
    return list(_section(location, schema).model_fields)


def _may_be_null(location: list[str], schema: type[BaseModel]) -> bool:
    try:
        return type(None) in get_args(_section(location, schema).model_fields[location[-1]].annotation)
    except (IndexError, KeyError, StopIteration):  # the whole file, or within a value
        return False


def _section(location: list[str], schema: type[BaseModel]) -> Any:
    """What holds the key."""
    section: Any = schema
    for key in location[:-1]:
        declared = section.model_fields[key].annotation
        section = next(part for part in (declared, *get_args(declared)) if hasattr(part, "model_fields"))
    return section
