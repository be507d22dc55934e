"""A user's own images: a sub-folder for each class, pictures of any size and mode in it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reprotune.data.images import Arrays
from reprotune.errors import ParamsError, UserError
from reprotune.params import Images

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {"grey": "L", "rgb": "RGB"}  # as Pillow calls them
LEAST = 10  # images of a class, so that it is in every split: 15 % of 10 are at least one
_NAMED = 5  # bad files that the one line names


def classes(images: Images) -> tuple[str, ...]:
    """The names of the sub-folders, in alphabetical order. Raises UserError."""
    folder = Path(images.folder).expanduser()
    if not folder.is_dir():
        raise ParamsError("data.images.folder", images.folder, "must be a folder with a sub-folder for each class")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:
        raise ParamsError("data.images.folder", images.folder, f"must hold 2 classes or more, not {len(names)}")
    return tuple(names)


def read(images: Images) -> Arrays:
    """All pictures, in the declared size and mode, in the order of their paths. Raises UserError."""
    files = [(number, path) for number, name in enumerate(classes(images)) for path in _files(images, name)]
    taken, bad = [], []
    for _, path in files:
        try:
            taken.append(pixels(path, images))
        except Exception:  # Pillow's readers raise whatever a broken file makes them trip over
            bad.append(str(path))
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise UserError(f"no readable images: {', '.join(bad[:_NAMED])}{more}; mend them or take them out")
    return Arrays(np.stack(taken), np.array([number for number, _ in files], dtype=np.int64))


def _files(images: Images, name: str) -> list[Path]:
    """The class's files, however deep, but the hidden ones; sorted, since a file system has an order of its own."""
    folder = Path(images.folder).expanduser() / name
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path.relative_to(folder)))
    if len(files) < LEAST:
        raise UserError(f"{folder}: holds {len(files)} images; each class needs {LEAST} or more")
    return files


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def pixels(path: Path, images: Images) -> np.ndarray:
    """One picture: uint8, (channels, height, width). Raises whatever Pillow's readers do."""
    from PIL import Image, ImageOps

    height, width = images.size
    with Image.open(path) as opened:
        picture = _eight_bits(ImageOps.exif_transpose(opened)).convert(MODES[images.mode]).resize((width, height))
    return np.asarray(picture).reshape(height, width, -1).transpose(2, 0, 1)


def _eight_bits(picture: "Image") -> "Image":
    """The same picture, opaque, with values from 0 to 255."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))  # Pillow would clip, and leave white
    if picture.mode in {"I", "F"}:
        raise ValueError("values without a range")
    if picture.has_transparency_data:  # what lies under the transparent parts was never meant to be seen
        paper = Image.new("RGBA", picture.size, "white")
        paper.alpha_composite(picture.convert("RGBA"))
        return paper
    return picture
