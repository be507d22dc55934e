"""A dataset's original files: fetched from a folder, an address, or where they are published; each one verified.

What is downloaded is kept, so that an interrupted download goes on, and another split needs no network.
"""

import gzip
import hashlib
import socket
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from itertools import product
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.request import url2pathname

from reprotune.artifacts import atomic_write
from reprotune.errors import ParamsError, UserError, one_line

CACHE = Path("data/.cache")  # not DVC's: it deletes a stage's outs before it runs the stage
TIMEOUT = 10.0  # seconds without a byte, after which a network counts as absent


@dataclass(frozen=True)
class Source:
    """What a dataset's original files are, and where they are published."""

    name: str  # of the folder in CACHE
    digests: Mapping[str, str]  # file → sha256 of its uncompressed bytes
    published: Callable[[], tuple[Sequence[str], Mapping[str, str]]]  # → (addresses, file there → its md5)
    archive: str | None = None  # a tar that holds all the files

    def forms(self) -> Iterator[tuple[str, set[str]]]:
        """(a file that a source may have, the original files in it)."""
        if self.archive:
            yield self.archive, set(self.digests)
        for file in self.digests:
            yield from ((f"{file}.gz", {file}), (file, {file}))


def fetch(source: Source, mirror: str | None) -> list[bytes]:
    """The uncompressed files, in the order of `digests`. Raises UserError."""
    folder = _folder(mirror)
    cache = CACHE / source.name
    finders: list[Callable[[str], Path]] = [folder.joinpath if folder else cache.joinpath]
    if not folder:
        finders.append(partial(_downloaded, source, mirror, cache))
    contents: dict[str, bytes] = {}
    for find, (form, files) in product(finders, source.forms()):
        if not contents.keys() >= files and (path := find(form)).exists():
            try:
                contents |= _unpacked(path, {file: d for file, d in source.digests.items() if file in files})
            except UserError:
                if not folder:
                    path.unlink()  # fetched again by the next run
                raise
    for file in source.digests:
        if file not in contents:
            raise UserError(f"{mirror or source.name}: has no {source.archive or file + '.gz'}, nor {file}")
    return [contents[file] for file in source.digests]


def _folder(mirror: str | None) -> Path | None:
    """The mirror, if it is a folder on this machine."""
    if mirror is None:
        return None
    if mirror.startswith(("http://", "https://")):
        if "@" in mirror.split("/")[2]:  # urllib takes them for part of the host, and says so
            raise ParamsError("data.mirror", one_line(mirror), "must be given without a user name and password")
        return None
    local = mirror.startswith("file://")
    name = url2pathname(mirror.removeprefix("file://")) if local else mirror
    folder = Path(name) if local else expanded(name)
    if not name or not folder.is_dir():  # "" would be the current folder
        raise ParamsError(
            "data.mirror", one_line(mirror), "must be a folder, or an address with http://, https:// or file://"
        )
    return folder


def expanded(path: str) -> Path:
    """With the home folder for ~; as it is if no such user has one."""
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def _downloaded(source: Source, mirror: str | None, cache: Path, form: str) -> Path:
    """Where the file was put in the cache, if there is one to be had. Raises UserError."""
    from torchvision.datasets.utils import download_url

    path = cache / form
    addresses, md5 = source.published() if mirror is None else ([mirror], {form: None})
    if form not in md5:
        return path
    failure: Exception | None = None
    for address in addresses:
        try:
            with atomic_write(path) as temporary, _timeout():
                temporary.unlink(missing_ok=True)  # a killed run's half file, which download_url would take for whole
                download_url(f"{address.rstrip('/')}/{form}", temporary.parent, temporary.name, md5[form])
            return path
        except HTTPError as error:
            error.close()
            if mirror and error.code == 404:
                return path
            failure = error
        except (OSError, RuntimeError, ValueError, HTTPException) as error:
            failure = error
    reason = one_line(failure)
    raise UserError(
        f"{source.name}: {form} cannot be fetched from {' or '.join(addresses)} ({reason}): set data.mirror to a "
        "folder or an address that holds the original files, or data.dataset to mnist_5k, which needs no network"
    )


@contextmanager
def _timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none, and would wait for ever
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _unpacked(path: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Original file → its bytes. Raises UserError if `path` does not hold just these."""
    try:
        if path.name.endswith(".tar.gz"):
            contents = _members(path, digests)
        else:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            contents = dict.fromkeys(digests, content)
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error) as error:
        raise UserError(f"{path}: is cut off, or not what its name says ({error})") from None
    for file, expected in digests.items():
        if file not in contents:
            raise UserError(f"{path}: holds no {file}")
        found = hashlib.sha256(contents[file]).hexdigest()
        if found != expected:
            raise UserError(f"{path}: is not the original: {file} must have the sha256 {expected}, this has {found}")
    return contents


def _members(path: Path, files: Iterable[str]) -> dict[str, bytes]:
    """Read without being extracted, so that no member can be written anywhere; and one that would climb is refused."""
    contents = {}
    with tarfile.open(path, "r:gz") as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts:
                raise UserError(f"{path}: member {member.name!r} lies outside the archive's own folder")
            if member.name in files and member.isreg() and (opened := tar.extractfile(member)):
                contents[member.name] = opened.read()
    return contents
