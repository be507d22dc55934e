"""params.yaml → frozen, validated values.

The schema is here; what the values must mean to a model, an optimizer or a sampler is said where these
are defined, and checked by `search.space` and `search.study.declaration` before anything is trained.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML

from reprotune.artifacts import NOT_YAML
from reprotune.errors import PARAMS, UserError, counted, first_error, misdeclared

_MOST = 2**61  # of a range, whose values are counted in 64 bits


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Searched(Section):
    """What a search space declares of one hyperparameter. Its `type` says which keys it has."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, declared: Any) -> Any:
        if isinstance(declared, Mapping) and (unknown := [key for key in declared if key not in cls.model_fields]):
            missing = [key for key, field in cls.model_fields.items() if field.is_required() and key not in declared]
            lacks = f"; missing: {', '.join(missing)}" if missing else ""
            known = ", ".join(cls.model_fields)
            raise ValueError(f"{', '.join(map(str, unknown))}: unknown key; known here: {known}{lacks}")
        return declared


class IntRange(Searched):
    type: Literal["int"]
    low: int = Field(ge=-_MOST, le=_MOST)
    high: int = Field(ge=-_MOST, le=_MOST)
    log: bool = False
    step: int = Field(default=1, ge=1, le=_MOST)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_range(self.low, self.high, self.log, self.step if self.step != 1 else None)
        return self


class FloatRange(Searched):
    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_range(self.low, self.high, self.log, self.step)
        return self


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    if low > high:
        raise ValueError("low must not be above high")
    if log and low <= 0:
        raise ValueError("a log range must have low above 0")
    if log and step:
        raise ValueError("a log range cannot have a step")
    try:
        rest = (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)) if step else 0
    except InvalidOperation:  # more than 28 digits
        raise ValueError("has more steps than can be counted") from None
    if rest:
        raise ValueError("high must be a whole number of steps above low")


Value = bool | int | float | str


class Categorical(Searched):
    type: Literal["categorical"]
    choices: tuple[Value, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
            raise ValueError("choices must differ from each other")
        return self


def _kind(declared: Any) -> Any:
    if isinstance(declared, Section):
        return declared.type  # type: ignore[attr-defined]
    return declared.get("type") if isinstance(declared, Mapping) else "value"


def _well_formed(declared: Any) -> Any:
    if wrong := misdeclared(declared):
        raise ValueError(wrong)
    return declared


# A range or choices to search, or a plain value that fixes the hyperparameter.
Declared = Annotated[
    Annotated[IntRange, Tag("int")]
    | Annotated[FloatRange, Tag("float")]
    | Annotated[Categorical, Tag("categorical")]
    | Annotated[Value, Tag("value")],
    Discriminator(_kind),
    BeforeValidator(_well_formed),
]
SearchSpace = dict[str, Declared]


Range = tuple[int | float, int | float]  # black, white
Fit = Literal["stretch", "crop", "pad"]


class Images(Section):
    folder: str
    size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(strict=False)  # height, width
    mode: Literal["grey", "rgb"]
    fit: Fit = "stretch"
    range: Range | None = Field(default=None, strict=False)
    group: str | None = None  # a regular expression

    @field_validator("range")
    @classmethod
    def _ascending(cls, value: Range | None) -> Range | None:
        if value and value[0] >= value[1]:
            raise ValueError("black must be below white")
        return value

    @field_validator("group")
    @classmethod
    def _regular_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"must be a regular expression ({error})") from None
        return value


Metric = Literal["accuracy", "balanced_accuracy"]


class Data(Section):
    dataset: str
    mirror: str | None
    images: Images
    train_examples: int | None = Field(ge=1)
    valid_examples: int | None = Field(ge=1)
    metric: Metric = "accuracy"


Device = Literal["cpu", "cuda", "auto"]


class Training(Section):
    """`device`, and hyperparameters by name: `hyperparameters` holds these."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Value]
    device: Device = "cpu"

    @property
    def hyperparameters(self) -> dict[str, Value]:
        return self.__pydantic_extra__


class Execution(Section):
    engine: str
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    window: int = Field(ge=1)
    trial_timeout: float | None = Field(gt=0, le=1e9)  # seconds; a lock's own limit is not far beyond
    scheduler: str | None
    insecure: bool = False
    own_arithmetic: bool = False


class Finalists(Section):
    """How many of the best trials are trained again, and how often; of none, the best single accuracy wins."""

    count: int = Field(ge=0, le=1000)
    repeats: int = Field(ge=1, le=1000)


class ShareRung(Section):
    """After `epoch`, only the best `share` of the last `among` trials go on, those in flight among them."""

    epoch: int = Field(ge=1)
    share: float = Field(gt=0, lt=1)
    among: int = Field(ge=2)  # trials


class LedRung(Section):
    """After `epoch`, only what no trial that costs no more leads by more than `margin` goes on."""

    epoch: int = Field(ge=1)
    margin: float = Field(ge=0, lt=1)  # of accuracy


Rung = ShareRung | LedRung


def searched_by(sampler: str, pruner: Any, rung: Rung | None) -> str:
    """For a line: what proposes, and what prunes."""
    return " + ".join([sampler, *(["rung"] if rung else []), *([] if rung and pruner == "none" else [pruner])])


class StudyParams(Section):
    n_trials: int = Field(ge=1)
    timeout: float | None = Field(gt=0)  # seconds
    max_epochs: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)  # trials
    finalists: Finalists = Finalists(count=0, repeats=2)
    sampler: str
    pruner: str | dict[str, Any]  # its name, or {name: …} with its settings
    first: Annotated[tuple[dict[str, Value], ...], Field(strict=False)] | None = None
    adopt: bool = False
    max_flops: int | None = Field(default=None, ge=1)
    max_parameters: int | None = Field(default=None, ge=1)
    rung: ShareRung | None = None
    search_space: SearchSpace

    @property
    def told(self) -> str:
        """How it searches, for a line."""
        pruner = self.pruner if isinstance(self.pruner, str) else str(self.pruner.get("name"))
        return f"{counted(self.n_trials, 'trial')}, {searched_by(self.sampler, pruner, self.rung)}"


class MultiObjective(StudyParams):
    minimize: Literal["flops", "parameters"]
    rung: LedRung | None = None  # type: ignore[assignment]
    min_accuracy: Annotated[float, Field(ge=0, lt=1)] | Literal["default"] | None = None


class Evaluate(Section):
    seeds: int = Field(ge=1)


class Params(Section):
    seed: int = Field(ge=0, lt=2**32)
    data: Data
    model: dict[str, Value]
    training: Training
    execution: Execution
    single_objective: StudyParams
    multi_objective: MultiObjective
    evaluate: Evaluate


def load(path: Path = PARAMS) -> Params:
    """Read and validate; raises ParamsError with the first thing that is wrong."""
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except NOT_YAML as error:
        raise UserError(f"{path}: is not YAML: {_told_by_yaml(error)}") from None
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise first_error(error, content, Params) from None


def _told_by_yaml(error: Exception) -> str:
    """In one line, and without how to switch the check off."""
    return " ".join(str(error).partition("To suppress this check")[0].split())
