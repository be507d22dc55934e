"""What a person can mend is a `UserError`, told in one line; anything else that is raised is a bug."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

PARAMS = Path("params.yaml")


class UserError(Exception):
    """One line: what, where, its value, and what is allowed or what to do."""


class ParamsError(UserError):
    """One line that names the key of params.yaml, shows its value and says what is allowed."""

    def __init__(self, key: str, value: Any, allowed: str) -> None:
        super().__init__(f"{PARAMS}: {key} = {value!r}: {allowed}")


def one_line(told: object) -> str:
    """What an error says, in one line, without the name and password that an address in it may hold."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", " ".join(str(told).split()))[:500]


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
    allowed = ", or ".join(message.removeprefix("Value error, ").removeprefix("Input should ") for message in here)
    return ParamsError(key, first["input"], f"should {allowed}" if here[0].startswith("Input should ") else allowed)


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
    section: Any = schema
    for key in location[:-1]:
        section = section.model_fields[key].annotation
    return list(section.model_fields)
