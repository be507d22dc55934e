"""Every hyperparameter there is, what its values may be, and which of them a config has."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from pydantic import TypeAdapter, ValidationError

from reprotune.training.augmentation import AUGMENTATIONS
from reprotune.training.models import MODELS, Depth, Share
from reprotune.training.optimizers import OPTIMIZERS, SCHEDULES

# Those that every config has: name → the type of a legal value.
HYPERPARAMETERS: Mapping[str, Any] = {
    "optimizer": Literal[tuple(OPTIMIZERS)],
    "lr": Annotated[float, Gt(0)],
    "batch_size": Annotated[int, Ge(1)],
    "epochs": Annotated[int, Ge(1)],
    "schedule": Literal[tuple(SCHEDULES)],
    "weight_decay": Annotated[float, Ge(0)],
    "label_smoothing": Share,
    "normalise": bool,
    **{name: augmentation.legal for name, augmentation in AUGMENTATIONS.items()},
}

# All of them, those of one model or optimizer too.
LEGAL: dict[str, Any] = {"model": Literal[tuple(MODELS)], **HYPERPARAMETERS}
for _model in MODELS.values():
    LEGAL |= {_model.layers: Depth, **_model.per_layer, **_model.per_model}
for _optimizer in OPTIMIZERS.values():
    LEGAL |= _optimizer.own


def legal(name: str) -> Any:
    """The type of a hyperparameter's legal values, also of a layer's own (width_1); None for an unknown name."""
    found = re.fullmatch(r"(\w+)_[1-9]\d*", name)
    per_layer = found and any(found[1] in model.per_layer for model in MODELS.values())
    return LEGAL.get(found[1] if found and per_layer else name)


def fault(name: str, value: Any) -> str:
    """What is wrong with a value of a known hyperparameter; empty if it is legal."""
    return mismatch(legal(name), value)


def mismatch(legal: Any, value: Any) -> str:
    """What is wrong with a value that should be of this type; empty if it is."""
    try:
        TypeAdapter(legal).validate_python(value, strict=True)
    except ValidationError as error:
        return "should " + ", or ".join(part["msg"].removeprefix("Input should ") for part in error.errors())
    return ""


def needed(models: Iterable[str], optimizers: Iterable[str]) -> Iterator[str]:
    """What a config of these models and optimizers can have; a layer's under the name that all layers share."""
    for model in (MODELS[name] for name in models):
        yield from (model.layers, *model.per_layer, *model.per_model)
    for name in optimizers:
        yield from OPTIMIZERS[name].own
