"""Pictures: which files may be one, and their pixels.

Only the formats of a list are opened, whatever a file's name says: Pillow would hand others, EPS say, to a program.
"""

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from reprotune.data.fetch import CACHE
from reprotune.errors import UserError, named, one_line
from reprotune.params import Fit, Images, Range

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # as Pillow calls them
MODES = {"grey": "L", "rgb": "RGB"}
# What programs leave beside pictures: thumbnails and trash of systems and of servers, halves of archives.
_PROGRAMS = {"@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot", "$recycle.bin", "recycler"}
_PROGRAMS |= {"__macosx", "network trash folder", "temporary items", "icon\r", "pax_global_header", "lost+found"}
_PROGRAMS |= {"system volume information", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"}
_PROGRAMS_BEGIN = ("@__thumb", "@syno", "thumbs.db:", "found.00", "~$")
# Archives, notes and lists, halves of downloads, copies that editors keep.
_NO_PICTURES: tuple[str, ...] = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst")
_NO_PICTURES += (".aae", ".ini", ".lnk", ".thm", ".torrent", ".url", ".xmp", ":zone.identifier")
_NO_PICTURES += (".csv", ".db", ".html", ".json", ".md", ".tsv", ".txt", ".xml", ".yaml", ".yml")
_NO_PICTURES += (".crdownload", ".icloud", ".part", ".bak", ".tmp", "~")
_LINK, _NO_FILE = "a link to a folder", "not a file, or a link to none"
_ADVICE = {
    _LINK: ", in which DVC sees no change: put the folder there, or set data.images.folder",
    _NO_FILE: "; remove it",
}
_DEPTHS = (8, 10, 12, 14, 16)  # bits of what cameras, scanners and microscopes give
_SIXTEEN_BITS = (0, 65535)


class Unreadable(Exception):
    """Why a file is not taken as a picture."""


def files(folder: Path, passed: list[tuple[str, Path]], refuse: bool) -> Iterator[Path]:
    """What may be a picture, however deep. passed, refuse: as for `entries`."""
    for entry in entries(folder, passed, refuse):
        if entry.is_dir():
            yield from files(Path(entry.path), passed, refuse)
        else:
            yield Path(entry.path)


def entries(folder: Path, passed: list[tuple[str, Path]], refuse: bool) -> Iterator[os.DirEntry[str]]:
    """What lies in it, sorted, since a file system has an order of its own.

    passed: gets (why, which) of what is passed over. refuse: raise UserError for what would be left out of a dataset.
    """
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{named([folder])}: cannot be read ({error.strerror})") from None
    for entry in found:
        if why := _passed_over(entry):
            passed.append((why, Path(entry.path)))
        elif why := _left_out(entry):
            if refuse:
                raise UserError(f"{named([entry.path])}: is {why}{_ADVICE[why]}")
            passed.append((why, Path(entry.path)))
        else:
            yield entry


def _passed_over(entry: os.DirEntry[str]) -> str | None:
    """Why it is no picture and no class."""
    name = entry.name.casefold()
    if name.startswith("."):
        return "hidden"
    if name in _PROGRAMS or name.startswith(_PROGRAMS_BEGIN):
        return "left by programs"
    if not entry.is_dir() and name.endswith(_NO_PICTURES):
        return "no pictures by their names"
    return None


def _left_out(entry: os.DirEntry[str]) -> str | None:
    if entry.is_dir():
        return _LINK if entry.is_symlink() else None
    return None if entry.is_file() else _NO_FILE


class Picture(NamedTuple):
    image: "Image"  # the first frame or page, upright
    deep: bool  # values of more than 8 bits, which only a range makes black and white
    several: bool  # frames or pages


def load(path: Path) -> Picture:
    """Raises Unreadable."""
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise Unreadable("no file")  # to open a pipe is to wait for ever
    if not path.stat().st_size:
        raise Unreadable("empty")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as opened:
            deep = _is_deep(opened, white := _own_white(opened))
            image = _upright(opened)
            return Picture(_as_written(image, white) if white and image.mode == "I" else image, deep, _several(opened))
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"no {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, or without pixels") from None
    except Exception as error:  # Pillow's readers raise whatever a broken file makes them trip over
        raise Unreadable(one_line(error) or type(error).__name__) from None


def _is_deep(opened: "ImageFile", white: int | None) -> bool:
    """white: its own. Raises Unreadable where Pillow would read it wrongly."""
    if opened.mode.startswith(("I", "F")) or ";16" in str(opened.tile) or white == _SIXTEEN_BITS[1]:
        return True
    bits = getattr(opened, "tag_v2", {}).get(258, (8,))  # a sample, of which Pillow reads 8
    if opened.format == "TIFF" and max(bits) > 8:
        raise Unreadable("16-bit colour in a plane for each channel, which cannot be read")
    return False


def _own_white(opened: "ImageFile") -> int | None:
    """What a PPM or PGM file says is white, if Pillow scales by it."""
    arguments = opened.tile[0].args if opened.format == "PPM" else None
    return int(arguments[1]) if isinstance(arguments, tuple) else None


def _as_written(image: "Image", white: int) -> "Image":
    """With the values of the file, of which Pillow has made 0 to 65535."""
    from PIL import Image

    return Image.fromarray(np.rint(np.asarray(image) * (white / _SIXTEEN_BITS[1])).astype(np.int32))


def _upright(opened: "Image") -> "Image":
    """A copy, turned as its orientation says; a broken tag says nothing."""
    from PIL import ImageOps

    opened.load()
    with suppress(Exception):  # raised before the turn if the orientation is broken, after it if another tag is
        ImageOps.exif_transpose(opened, in_place=True)
    return opened.copy()


def _opaque(image: "Image") -> "Image":
    """On white paper: what lies under the transparent parts was never meant to be seen."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image.convert("RGBA"))
    return paper


def _several(opened: "Image") -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except Exception:
        return True  # and what follows the first is broken


def pixels(picture: Picture, images: Images, black_and_white: Range | None) -> np.ndarray:
    """uint8, (channels, height, width). black_and_white: of a deep picture. Raises Unreadable."""
    height, width = images.size
    image = _eight_bits(picture.image, black_and_white) if picture.deep and black_and_white else picture.image
    small = _fitted(_converted(image, MODES[images.mode]), (width, height), images.fit)
    return np.asarray(small).reshape(height, width, -1).transpose(2, 0, 1)


def _converted(image: "Image", mode: str) -> "Image":
    try:
        opaque = _opaque(image)
        if opaque.mode == "LAB":  # of which Pillow makes colour, but no grey
            opaque = opaque.convert("RGB")
        return opaque.convert(mode)
    except Exception as error:
        raise Unreadable(one_line(error)) from None


def _fitted(image: "Image", size: tuple[int, int], fit: Fit) -> "Image":
    """Of that width and height. pad, crop: nothing is distorted; black is added, or what sticks out is lost."""
    from PIL import Image, ImageOps

    if fit == "stretch":
        return image.resize(size)
    if fit == "crop":
        return ImageOps.fit(image, size)
    share = min(size[0] / image.width, size[1] / image.height)
    small = image.resize((max(1, round(share * image.width)), max(1, round(share * image.height))))
    padded = Image.new(image.mode, size)
    padded.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return padded


def _eight_bits(image: "Image", black_and_white: Range) -> "Image":
    from PIL import Image

    low, high = black_and_white
    if not image.mode.startswith(("I", "F")):  # colour, of which Pillow has kept the upper 8 of 16 bits
        if black_and_white != _SIXTEEN_BITS:
            raise Unreadable(f"16-bit colour, which can be read from 0 to 65535 alone, not from {low} to {high}")
        return image
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise Unreadable("values that are not finite")
    return Image.fromarray(np.clip((values - low) * 256 / (high - low), 0, 255).astype(np.uint8))


def highest(picture: Picture) -> int:
    """The greatest value in a deep picture. Raises Unreadable where only a person knows the range."""
    values = np.asarray(picture.image)
    if not picture.image.mode.startswith(("I", "F")):
        return 256 * int(values[..., :3].max()) + 255
    low, high = values.min(), values.max()
    if picture.image.mode == "F" or low < 0 or high > _SIXTEEN_BITS[1]:
        raise Unreadable(
            f"values from {low:g} to {high:g}, of which data.images.range must say what is black and white"
        )
    return int(high)


def decided(highest_values: Iterable[int]) -> Range:
    """From 0 to all that the fewest bits hold that hold these."""
    top = max(highest_values)
    return 0, next(2**bits - 1 for bits in _DEPTHS if top < 2**bits)


class Taken(NamedTuple):
    images: np.ndarray  # uint8, (N, channels, height, width): of a file, as they need not fit into memory
    black_and_white: Range | None  # of the deep ones
    deep: int  # how many these are
    several: int  # how many have more frames or pages than the one that was taken


def take(paths: Sequence[Path], images: Images) -> Taken:
    """All of them, in this order; the deep ones last, as their range is known then. Raises UserError."""
    bad: dict[str, list[Path]] = defaultdict(list)
    deep: dict[int, int] = {}  # row → highest value
    several = 0
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=CACHE) as file:  # it has no name: a killed run leaves nothing
        for row, path in enumerate(paths):
            with _noted(bad, path):
                picture = load(path)
                several += picture.several
                if picture.deep:
                    deep[row] = 0 if images.range else highest(picture)
                else:
                    _write(file, row, pixels(picture, images, None))
        black_and_white = (images.range or decided(deep.values())) if deep else None
        for row in deep:
            with _noted(bad, paths[row]):
                _write(file, row, pixels(load(paths[row]), images, black_and_white))
        if bad:
            told = "; ".join(f"{named(wrong)} ({reason})" for reason, wrong in bad.items())
            raise UserError(f"no readable images: {told}; repair or remove them")
        file.flush()
        taken = np.memmap(file, np.uint8, "r", shape=(len(paths), len(MODES[images.mode]), *images.size))
    return Taken(taken, black_and_white, len(deep), several)


@contextmanager
def _noted(bad: dict[str, list[Path]], path: Path) -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        bad[str(error)].append(path)


def _write(file: IO[bytes], row: int, image: np.ndarray) -> None:
    file.seek(row * image.nbytes)
    file.write(image.tobytes())
