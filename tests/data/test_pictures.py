"""One picture: what is read of it, and why it is not."""

import os
import struct
import subprocess
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from reprotune.data import pictures
from reprotune.data.pictures import Unreadable
from reprotune.errors import UserError
from reprotune.params import Fit, Images, Range

ORIENTATION = 0x0112
FITS = get_args(Fit)
ON_ITS_SIDE = 6


def images(**changes: object) -> Images:
    return Images.model_validate({"folder": "images", "size": [1, 2], "mode": "grey"} | changes)


def seen(path: Path, black_and_white: Range | None = None, **changes: object) -> list[object]:
    found: list[object] = pictures.pixels(pictures.load(path), images(**changes), black_and_white).tolist()
    return found


def png_of_16_bits(path: Path, values: np.ndarray, colour: int) -> None:
    """Pillow writes none in colour. values: (height, width, channels)."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    framed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(framed))


def test_what_pixels_become(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.array([[0x1234, 0xFF00]], dtype=np.uint16)).save(path)
    assert seen(path, (0, 65535)) == [[[0x12, 0xFF]]]
    Image.fromarray(np.array([[[9, 9, 9, 255], [0, 0, 0, 0]]], dtype=np.uint8)).save(path)
    assert seen(path) == [[[9, 255]]]
    exif = Image.Exif()
    exif[ORIENTATION] = ON_ITS_SIDE
    Image.fromarray(np.array([[1], [2]], dtype=np.uint8)).save(path, exif=exif)
    assert seen(path) == [[[2, 1]]]
    Image.new("LAB", (2, 1), (255, 128, 128)).save(tmp_path / "x.tif")
    assert all(np.array(seen(tmp_path / "x.tif", mode=mode)).min() >= 254 for mode in ("grey", "rgb"))


def test_what_cannot_be_converted_is_refused() -> None:
    picture = pictures.Picture(Image.new("La", (2, 1)), deep=False, several=False)
    with pytest.raises(Unreadable, match="conversion from La to L not supported"):
        pictures.pixels(picture, images(), None)


@pytest.mark.parametrize("mode", ["grey", "rgb"])
@pytest.mark.parametrize("upright", [False, True])
def test_a_picture_is_distorted_only_where_it_is_stretched(tmp_path: Path, upright: bool, mode: str) -> None:
    """A white square in the middle of a picture that is twice as long as it is wide, and grey."""
    values = np.full((40, 80), 100, dtype=np.uint8)
    values[8:32, 28:52] = 255
    Image.fromarray(values.T if upright else values).save(tmp_path / "x.png")
    found = {fit: np.array(seen(tmp_path / "x.png", size=[20, 20], mode=mode, fit=fit)) for fit in FITS}
    white = {fit: (array[0] > 200).sum(axis=(0 if upright else 1)) for fit, array in found.items()}
    sides = {fit: (int(np.count_nonzero(counts)), int(counts.max())) for fit, counts in white.items()}
    assert sides == {"stretch": (12, 6), "crop": (12, 12), "pad": (6, 6)}
    assert (found["pad"] == 0).sum() == found["pad"].size / 2
    assert all(array.min() >= 90 for fit, array in found.items() if fit != "pad")


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1, 1), (3000, 1), (1, 3000), (5, 4)])
def test_a_picture_of_any_shape_fits(tmp_path: Path, size: tuple[int, int], fit: str) -> None:
    Image.new("L", size, 255).save(tmp_path / "x.png")
    found = np.array(seen(tmp_path / "x.png", size=[8, 6], fit=fit))
    assert found.shape == (1, 8, 6)
    assert found.max() == 255


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_whole_range_keeps_the_upper_8_bits(bits: int) -> None:
    values = np.arange(2**bits, dtype=np.uint16).reshape(16, -1)
    picture = pictures.Picture(Image.fromarray(values), deep=True, several=False)
    height, width = values.shape
    seen = pictures.pixels(picture, images(size=[height, width]), pictures.decided([2**bits - 1]))
    assert np.array_equal(seen[0], values >> (bits - 8))


@pytest.mark.parametrize(("top", "white"), [(0, 255), (256, 1023), (4095, 4095), (4096, 16383), (40000, 65535)])
def test_the_range_is_that_of_the_bits_in_use(top: int, white: int) -> None:
    assert pictures.decided([0, top, 7]) == (0, white)


def test_the_range_is_decided_over_all_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / name for name in ("dark.png", "bright.tif", "plain.pgm", "eight.png")]
    Image.fromarray(np.array([[0, 160]], dtype=np.uint16)).save(paths[0])
    Image.fromarray(np.array([[16, 4080]], dtype=np.uint16)).save(paths[1])
    paths[2].write_bytes(b"P5 2 1 65535\n" + np.array([32, 2048], dtype=">u2").tobytes())
    Image.fromarray(np.array([[3, 250]], dtype=np.uint8)).save(paths[3])
    taken = pictures.take(paths, images())
    assert taken.black_and_white == (0, 4095)
    assert taken.deep == 3
    assert taken.images.tolist() == [[[[0, 10]]], [[[1, 255]]], [[[2, 128]]], [[[3, 250]]]]
    assert pictures.take(paths, images(range=[32, 160])).images[:3].tolist() == [
        [[[0, 255]]],
        [[[0, 255]]],
        [[[0, 255]]],
    ]
    assert pictures.take(paths[3:], images(range=[32, 160])).black_and_white is None


def test_values_whose_range_only_a_person_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, values in (
        ("f.tif", np.array([[0, 0.5]], dtype=np.float32)),
        ("i.tif", np.array([[-5, 9]], dtype=np.int32)),
        ("w.tif", np.array([[70000, 9]], dtype=np.int32)),
    ):
        Image.fromarray(values).save(tmp_path / name)
        with pytest.raises(UserError, match=rf"{name} \(values from .* to .*, of which data.images.range must say"):
            pictures.take([tmp_path / name], images())
    assert pictures.take([tmp_path / "f.tif"], images(range=[0.0, 1.0])).images.tolist() == [[[[0, 128]]]]
    Image.fromarray(np.array([[np.nan, 0.5]], dtype=np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(UserError, match=r"f.tif \(values that are not finite\)"):
        pictures.take([tmp_path / "f.tif"], images(range=[0.0, 1.0]))


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_colour_of_16_bits_is_never_nearly_black(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: int, channels: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.png"
    values = np.full((1, 2, channels), 65535)
    values[0, 0] = 0x8000
    png_of_16_bits(path, values, colour)
    assert pictures.take([path], images()).images[0, 0, 0, 1] == 255
    png_of_16_bits(path, values // 16, colour)  # 12 bits, of which Pillow keeps 4
    with pytest.raises(
        UserError, match=r"x.png \(16-bit colour, which can be read from 0 to 65535 alone, not from 0 to"
    ):
        pictures.take([path], images())


@pytest.mark.parametrize("kind", [b"P6", b"P3"])
def test_nor_in_a_ppm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.ppm"

    def write(white: int, values: list[int]) -> None:
        as_bytes = np.array(values, dtype=">u2").tobytes() if kind == b"P6" else " ".join(map(str, values)).encode()
        path.write_bytes(b"%s 2 1 %d\n" % (kind, white) + as_bytes)

    write(65535, [0] * 3 + [65535] * 3)
    assert pictures.take([path], images()).images.tolist() == [[[[0, 255]]]]
    write(4095, [0] * 3 + [4095] * 3)  # the file says what is white
    assert pictures.take([path], images()).images.tolist() == [[[[0, 255]]]]
    write(65535, [0] * 3 + [4095] * 3)
    with pytest.raises(UserError, match=r"x.ppm \(16-bit colour, which can be read from 0 to 65535 alone"):
        pictures.take([path], images())


@pytest.mark.parametrize("kind", [b"P5", b"P2"])
def test_a_range_is_of_the_values_in_a_pgm_whatever_it_says_is_white(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.pgm"
    values = [0, 1000]
    as_bytes = np.array(values, dtype=">u2").tobytes() if kind == b"P5" else b"0 1000"
    for white in (1000, 4095, 65535):
        path.write_bytes(b"%s 2 1 %d\n" % (kind, white) + as_bytes)
        picture = pictures.load(path)
        assert (picture.deep, np.asarray(picture.image).tolist()) == (True, [values])
        assert seen(path, (0, 2000)) == [[[0, 128]]]


def test_16_bits_in_planes_are_refused(tmp_path: Path) -> None:
    """Of which Pillow reads every second byte as a pixel."""
    tags = {256: 2, 257: 1, 259: 1, 262: 2, 277: 3, 278: 1, 284: 2}  # two pixels, RGB, uncompressed, planes
    places = {258: (3, 3, 134), 273: (4, 3, 140), 279: (4, 3, 152)}  # (type, count, offset) of bits, planes, bytes
    entries = {tag: struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items()}
    entries |= {tag: struct.pack("<HHII", tag, *place) for tag, place in places.items()}
    body = b"".join(entries[tag] for tag in sorted(entries))
    beyond = struct.pack("<3H6I", 16, 16, 16, 164, 168, 172, 4, 4, 4) + np.full(6, 4000, "<u2").tobytes()
    (tmp_path / "x.tif").write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + beyond)
    with pytest.raises(Unreadable, match="16-bit colour in a plane for each channel"):
        pictures.load(tmp_path / "x.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_pictures_are_upright(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = ON_ITS_SIDE
    path = tmp_path / f"x.{suffix}"
    plain = Image.fromarray(np.array([[0], [255]], dtype=np.uint8).repeat(16, axis=0).repeat(32, axis=1))
    plain.save(path, exif=exif, lossless=True)
    (left, right) = seen(path)[0][0]  # type: ignore[index]
    assert left > 200
    assert right < 50


def _exif(orientation: int, *other: int) -> bytes:
    """An orientation, and a tag of a type or place that is none."""
    entries = [(ORIENTATION, 3, 1, orientation), *([other] if other else [])]
    return (
        b"Exif\0\0II*\0\x08\0\0\0"
        + struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        + b"\0\0\0\0"
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    ("exif", "turned"),
    [
        (b"Exif\0\0no EXIF at all", False),
        (_exif(99), False),
        (_exif(ON_ITS_SIDE, 0x0100, 2, 4, 0xFF41FE41), True),  # a width that is text
        (_exif(ON_ITS_SIDE, 0x8769, 4, 1, 9**9), True),
    ],
)
def test_a_broken_exif_alone_is_passed_over(tmp_path: Path, suffix: str, exif: bytes, turned: bool) -> None:
    path = tmp_path / f"x.{suffix}"
    halves = np.array([[0], [255]], dtype=np.uint8).repeat(16, axis=0).repeat(32, axis=1)
    Image.fromarray(halves).save(path, exif=exif, lossless=True)
    assert np.ptp(np.array(seen(path))) == pytest.approx(255 if turned else 0, abs=60)


def test_every_refusal_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    Image.new("L", (40, 40)).save(path)
    whole = path.read_bytes()
    reasons = {}
    for name, content in {
        "empty": b"",
        "none": b"P5 0 1 255\n",
        "text": b"no image",
        "cut": whole[:-30],
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    }.items():
        path.write_bytes(content)
        with pytest.raises(Unreadable) as refused:
            pictures.load(path)
        reasons[name] = str(refused.value)
    assert all(reasons[name].startswith("no AVIF, BMP, GIF,") for name in ("none", "text", "EPS"))
    assert reasons["empty"] == "empty"
    assert "truncated" in reasons["cut"]
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Unreadable, match="exceeds limit of 200 pixels"):
        pictures.load(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # only Pillow's warning
    assert seen(path) == [[[0, 0]]]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("pipe.png", "absent.png", "."):
        with pytest.raises(Unreadable, match="no file"):
            pictures.load(tmp_path / name)


@pytest.mark.parametrize("name", ["x.eps", "x.png", "x.jpg"])
def test_no_file_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def started(*_: object, **__: object) -> None:
        pytest.fail("a program was started")

    for function in ("Popen", "call", "check_call", "check_output", "run"):
        monkeypatch.setattr(subprocess, function, started)
    Image.new("L", (8, 8)).save(tmp_path / "picture.eps")
    (tmp_path / "picture.eps").rename(tmp_path / name)
    with pytest.raises(Unreadable, match="no AVIF, BMP"):
        pictures.load(tmp_path / name)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_the_first_of_several_frames(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (40, 200)]
    path = tmp_path / f"x.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    picture = pictures.load(path)
    assert picture.several
    assert pictures.pixels(picture, images(), None).tolist() == [[[40, 40]]]
    frames[0].save(path)
    assert not pictures.load(path).several
