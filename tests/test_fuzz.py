"""params.yaml with any value anywhere: accepted and run, or refused in one line that names the key."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import make_params, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reprotune import params
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.search import space
from reprotune.search.study import declaration, preparation

_SLOW = 70  # epochs, layers or units, beyond which a trial is not trained here


def paths(value: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items():
        yield (*prefix, key)
        if isinstance(inner, Mapping):
            yield from paths(inner, (*prefix, key))


CONTENT = make_params().model_dump(mode="json")
PATHS = [path for path in paths(CONTENT) if path[0] != "data"]
numbers = st.one_of(st.integers(-3, 70), st.integers(), st.floats(0, 1), st.floats())
words = st.sampled_from(["SGD", "Adam", "mlp", "cnn", "tpe", "random", "median", "auto", "local", "", "0", "é"])
texts = st.one_of(words, st.text("ab: #", max_size=5))
plain = st.one_of(st.none(), st.booleans(), numbers, texts)
ranges = st.fixed_dictionaries(
    {"type": st.sampled_from(["int", "float"]), "low": numbers, "high": numbers},
    optional={"log": st.booleans(), "step": numbers, "by": plain},
)
choices = st.fixed_dictionaries({"type": st.just("categorical"), "choices": st.lists(plain, max_size=3)})
ordered = st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted)
declared = st.one_of(
    st.integers(1, 9),
    st.floats(1e-3, 0.9),
    ordered.map(lambda ends: {"type": "int", "low": ends[0], "high": ends[1]}),
    ordered.map(lambda ends: {"type": "float", "low": ends[0] / 10, "high": ends[1] / 10, "log": True}),
    st.lists(st.integers(1, 9), min_size=1, max_size=3).map(lambda few: {"type": "categorical", "choices": few}),
)
anything = st.one_of(plain, ranges, choices, st.lists(plain, max_size=2), st.dictionaries(texts, plain, max_size=2))


def likely(value: Any) -> st.SearchStrategy[Any]:
    """Values of the kind that is there."""
    match value:
        case bool():
            return st.booleans()
        case int():
            return st.integers(1, 9)
        case float():
            return st.floats(1e-3, 0.9)
        case str():
            return words
        case {"type": _}:
            return declared
        case _:
            return st.just(value)


def as_a_file_has_it(section: dict[str, Any]) -> Any:
    """In YAML and back: of what was changed alone, as the whole file takes longer than all that is tested with it."""
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.dump(section, text := StringIO())
    return yaml.load(text.getvalue())


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """The project's params with up to three changes: a key replaced, added or taken away."""
    content = deepcopy(CONTENT)
    for _ in range(draw(st.integers(1, 3))):
        *sections, key = draw(st.sampled_from(PATHS))
        target: Any = content
        for section in sections:
            target = target.get(section) if isinstance(target, dict) else None
        if isinstance(target, dict):
            action = draw(st.sampled_from(["replace"] * 6 + ["add", "remove"]))
            if action == "remove":
                target.pop(key, None)
            else:
                value = draw(draw(st.sampled_from([anything, likely(target.get(key)), likely(target.get(key))])))
                target |= as_a_file_has_it({key if action == "replace" else draw(texts): value})
    return content


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(content=changed())
def test_any_params_file(
    content: dict[str, Any], dataset: StoredDataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "params.yaml").touch()
    refusal, studies = "", []
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(params, "YAML", lambda **_: SimpleNamespace(load=lambda _: content))
            chosen = params.load(folder / "params.yaml")
        declaration.check_params(chosen)
        preparation.check_models(chosen, dataset.inputs)
        studies = [declaration.from_params(chosen, name, dataset) for name in ("single_objective", "multi_objective")]
    except UserError as refused:
        refusal = str(refused)
    assert "\n" not in refusal
    assert studies or refusal.startswith(("params.yaml: ", str(folder)))
    for spec in studies:
        highest = [value for config in space.largest(spec.space) for value in config.values()]
        if all(value <= _SLOW for value in highest if isinstance(value, int)):
            trials = run(replace(spec, n_trials=min(spec.n_trials, 2)), folder)
            assert all(space.contains(spec.space, trial.config) for trial in trials)
