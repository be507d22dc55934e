"""results/model/: the model that was found, with all that it takes to use it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from reprotune.artifacts import atomic_write, read_json, write_json
from reprotune.data import pictures
from reprotune.data.images import Inputs, Shape
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError, named, one_line
from reprotune.params import Fit, Images, Range
from reprotune.training.models import Config, build

if TYPE_CHECKING:
    from torch import nn

FOLDER = Path("results/model")


class Description(BaseModel):
    """model.json. An image is resized to `shape`, in grey or colour as it has 1 or 3 channels, and scaled to 0 … 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, bool | int | float | str]
    dataset: str
    classes: tuple[str, ...]
    shape: Shape  # channels, height, width
    mean: tuple[float, ...]  # the model's own first part uses them, if its config says `normalise`
    std: tuple[float, ...]
    range: Range | None = None  # what is black and what is white in a picture of more than 8 bits
    fit: Fit = "stretch"  # how it comes to that shape


def weights(model: "nn.Module", test_accuracy: float, diverged: bool = False) -> bytes:
    """What weights.safetensors holds."""
    import safetensors.torch

    tensors = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    told = {"test_accuracy": repr(test_accuracy)} | ({"diverged": "yes"} if diverged else {})
    return safetensors.torch.save(tensors, told)


def test_accuracy(path: Path) -> float:
    """That of a model whose weights are there. Raises UserError."""
    return float(_told(path)["test_accuracy"])


def diverged(path: Path) -> bool:
    """Whether its training did. Raises UserError."""
    return "diverged" in _told(path)


def _told(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="np") as file:  # of which no tensor is read
            return dict(file.metadata())
    except SafetensorError as error:
        raise UserError(f"{path}: is damaged ({one_line(error)}); delete it, and its model is trained again") from None


def write(path: Path, config: Config, dataset: StoredDataset, fit: Fit = "stretch") -> None:
    """weights.safetensors and model.json. path: where the weights are. fit: of one's own pictures."""
    with atomic_write(FOLDER / "weights.safetensors") as temporary:
        temporary.write_bytes(path.read_bytes())
    description = Description(
        config=dict(config),
        dataset=dataset.name,
        classes=dataset.classes,
        shape=dataset.shape,
        mean=dataset.mean,
        std=dataset.std,
        range=dataset.own.range if dataset.own else None,
        fit=fit if dataset.own else "stretch",
    )
    write_json(FOLDER / "model.json", description.model_dump(exclude_defaults=True))


def load(content: bytes, config: Config, inputs: Inputs) -> "nn.Module":
    """The model of these weights, as `weights` gives them."""
    import safetensors.torch

    model = build(config, inputs)
    model.load_state_dict(safetensors.torch.load(content))
    return model


def read(folder: Path = FOLDER) -> "tuple[nn.Module, Description]":
    """The model, ready to classify. Raises UserError."""
    try:
        description = Description.model_validate(read_json(folder / "model.json"))
        inputs = Inputs(description.shape, len(description.classes), description.mean, description.std)
        model = load((folder / "weights.safetensors").read_bytes(), description.config, inputs)
    except FileNotFoundError:
        raise UserError(f"{folder}: holds no model; `dvc repro`, or `dvc pull`, puts it there") from None
    except (KeyError, RuntimeError, SafetensorError, ValidationError, ValueError) as error:
        raise UserError(f"{folder}: is damaged ({one_line(error)}); `dvc repro -f evaluate` makes it again") from None
    return model.eval(), description


class Seen(NamedTuple):
    classes: dict[str, float]  # class → probability, the likeliest first
    range: Range | None  # what was black and white, if the picture has more than 8 bits
    several: bool  # frames or pages, of which the first was seen

    @property
    def notes(self) -> list[str]:
        """How the picture was read, where that is not plain."""
        first = ["the first of several frames or pages"] if self.several else []
        return first + (["black is {}, white is {}".format(*self.range)] if self.range else [])


def classify(model: "nn.Module", description: Description, path: Path) -> dict[str, float]:
    """Class → probability, the likeliest first, of a picture of any size. Raises UserError."""
    try:
        return look(model, description, path).classes
    except pictures.Unreadable as error:
        raise _refused(path, error) from None


def look_at_all(
    model: "nn.Module", description: Description, paths: Iterable[Path], passed: dict[str, list[Path]]
) -> Iterator[tuple[Path, Seen]]:
    """Each picture, and in a folder all of them. passed: gets why → what in a folder is none. Raises UserError."""
    for path in paths:
        count, skipped = 0, list[tuple[str, Path]]()
        for file in pictures.files(path, skipped, refuse=False) if path.is_dir() else [path]:
            try:
                seen = look(model, description, file)
            except pictures.Unreadable as error:
                if not path.is_dir():
                    raise _refused(path, error) from None
                passed.setdefault(str(error), []).append(file)
            else:
                count += 1
                yield file, seen
        for why, left in skipped:
            passed.setdefault(why, []).append(left)
        if not count:
            raise UserError(f"{named([path])}: holds no readable image")


def _refused(path: Path, error: pictures.Unreadable) -> UserError:
    return UserError(f"{named([path])}: is no readable image ({error})")


def look(model: "nn.Module", description: Description, path: Path) -> Seen:
    """The same, and how the picture was read. Raises pictures.Unreadable."""
    import torch

    from reprotune.training.fit import pixels

    channels, height, width = description.shape
    mode: Literal["grey", "rgb"] = "grey" if channels == 1 else "rgb"
    images = Images(folder=str(path.parent), size=(height, width), mode=mode, fit=description.fit)
    picture = pictures.load(path)
    black_and_white = description.range
    if picture.deep and not black_and_white:
        black_and_white = pictures.decided([pictures.highest(picture)])
    image = torch.from_numpy(pictures.pixels(picture, images, black_and_white).copy())
    with torch.inference_mode():
        shares = model(pixels(image.unsqueeze(0))).softmax(dim=1)[0].tolist()
    classes = dict(sorted(zip(description.classes, shares, strict=True), key=lambda pair: -pair[1]))
    return Seen(classes, black_and_white if picture.deep else None, picture.several)
