import gzip
import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from reprotune.data import cifar, fetch, mnist
from reprotune.data.fetch import Source
from reprotune.errors import UserError

FILES = {"things/one": b"the first " * 9000, "things/two": b"the second " * 9000}
NOWHERE = "http://127.0.0.1:9"  # the port that discards, if anything listens there at all
WHOLE = Source(
    "small",
    {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    lambda: ([NOWHERE], {f"{name}.gz": "" for name in FILES}),
)
PACKED = replace(WHOLE, archive="things.tar.gz", published=lambda: ([NOWHERE], {"things.tar.gz": ""}))
CONTENTS = list(FILES.values())


def fill(folder: Path, zipped: bool = True) -> None:
    for name, content in FILES.items():
        path = folder / (f"{name}.gz" if zipped else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if zipped else content)


def pack(path: Path, **others: tarfile.TarInfo) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for member in others.values():
            tar.addfile(member)
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


class Server(ThreadingHTTPServer):
    """A mirror on this machine: what it was asked for, and which file it breaks off in the middle."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.folder = folder
        self.asked: Counter[str] = Counter()
        self.cut = "none"
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        super().do_GET()

    def copyfile(self, source, outputfile) -> None:  # type: ignore[no-untyped-def]
        content = source.read()
        outputfile.write(content[: len(content) // 2 if self.server.cut in self.path else None])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")  # the cache is below it


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


@pytest.fixture
def server(mirror: Path) -> Iterator[Server]:
    fill(mirror)
    with Server(mirror) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def cached() -> set[str]:
    return {str(path.relative_to(fetch.CACHE)) for path in fetch.CACHE.rglob("*") if path.is_file()}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wanted", [WHOLE, PACKED])
def test_a_folder_zipped_or_not(mirror: Path, zipped: bool, wanted: Source) -> None:
    fill(mirror, zipped)
    assert fetch.fetch(wanted, str(mirror)) == CONTENTS
    assert fetch.fetch(wanted, mirror.as_uri()) == CONTENTS
    assert cached() == set()


def test_an_archive(mirror: Path) -> None:
    pack(mirror / "things.tar.gz")
    assert fetch.fetch(PACKED, str(mirror)) == CONTENTS
    assert [path.name for path in mirror.iterdir()] == ["things.tar.gz"]


@pytest.mark.parametrize("zipped", [True, False])
def test_an_address_is_asked_once(server: Server, zipped: bool) -> None:
    if not zipped:
        for path in server.folder.rglob("*.gz"):
            path.unlink()
        fill(server.folder, zipped)
    assert fetch.fetch(WHOLE, server.address) == CONTENTS
    assert cached() == {f"small/{name}{'.gz' if zipped else ''}" for name in FILES}
    server.asked.clear()
    assert fetch.fetch(WHOLE, f"{server.address}/") == CONTENTS
    assert not server.asked


def test_an_archive_at_an_address(server: Server) -> None:
    pack(server.folder / "things.tar.gz")
    assert fetch.fetch(PACKED, server.address) == CONTENTS
    assert server.asked.keys() == {"/things.tar.gz"}


def test_an_interrupted_download_goes_on(server: Server) -> None:
    server.cut = "two"
    with pytest.raises(UserError, match=r"two.gz: is cut off"):
        fetch.fetch(WHOLE, server.address)
    assert cached() == {"small/things/one.gz"}
    server.cut = "none"
    server.asked.clear()
    assert fetch.fetch(WHOLE, server.address) == CONTENTS
    assert server.asked.keys() == {"/things/two.gz"}


def test_a_killed_runs_half_file_is_not_taken_for_whole(server: Server) -> None:
    half = fetch.CACHE / "small/things/.one.gz.tmp"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"\x1f\x8b")
    assert fetch.fetch(WHOLE, server.address) == CONTENTS
    assert not half.exists()


def test_the_next_address_is_tried(server: Server) -> None:
    md5 = {f"{n}.gz": hashlib.md5((server.folder / f"{n}.gz").read_bytes()).hexdigest() for n in FILES}
    wanted = replace(WHOLE, published=lambda: ([NOWHERE, f"{server.address}/absent", server.address], md5))
    assert fetch.fetch(wanted, None) == CONTENTS


def test_no_network_names_two_ways_out() -> None:
    with pytest.raises(UserError) as refused:
        fetch.fetch(WHOLE, None)
    assert f"small: things/one.gz cannot be fetched from {NOWHERE} (" in str(refused.value)
    assert "data.mirror" in str(refused.value)
    assert "mnist_5k" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert cached() == set()


def test_a_server_that_is_silent_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT", 0.2)
    server.shutdown()  # connections are still accepted, but nothing answers
    with pytest.raises(UserError, match=r"cannot be fetched from http://127.0.0.1:\d+ \(.*timed out"):
        fetch.fetch(WHOLE, server.address)


def test_a_wrong_download_is_not_kept(server: Server) -> None:
    (server.folder / "things/two.gz").write_bytes(gzip.compress(b"another"))
    with pytest.raises(UserError, match=r"two.gz: is not the original: things/two must have the sha256"):
        fetch.fetch(WHOLE, server.address)
    assert cached() == {"small/things/one.gz"}


BROKEN = [
    (gzip.compress(b"another"), f"must have the sha256 {WHOLE.digests['things/one']}, this has "),
    (gzip.compress(FILES["things/one"])[:-50], "is cut off"),
    (gzip.compress(FILES["things/one"])[:50] + b"\xff" * 50, "is cut off, or not what its name says"),
    (b"<html>moved</html>", "is cut off, or not what its name says"),
    (b"", "must have the sha256"),
]


@pytest.mark.parametrize(("content", "line"), BROKEN, ids=range(len(BROKEN)))
def test_a_bad_file_is_named(mirror: Path, content: bytes, line: str) -> None:
    fill(mirror)
    (mirror / "things/one.gz").write_bytes(content)
    with pytest.raises(UserError) as refused:
        fetch.fetch(WHOLE, str(mirror))
    assert str(refused.value).startswith(str(mirror / "things/one.gz"))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (mirror / "things/one.gz").exists()


def test_a_missing_file_is_named(mirror: Path, server: Server) -> None:
    (mirror / "things/two.gz").unlink()
    for address in (str(mirror), server.address):
        with pytest.raises(UserError, match=r"mirror|http.*: has no things/two.gz, nor things/two"):
            fetch.fetch(WHOLE, address)


@pytest.mark.parametrize(
    "name",
    ["", "no/such/folder", "~nobody-of-this-name/mnist", "s3://bucket/mnist", "file:///no/such/folder", "file://"],
)
def test_a_mirror_that_is_none(name: str) -> None:
    with pytest.raises(UserError, match=rf"data.mirror = '{name}': must be a folder, or an address"):
        fetch.fetch(WHOLE, name)


@pytest.mark.parametrize(
    "mirror", ["https://user:secret@host/mnist", "http://user:sec@ret@host/mnist", "s3://me:secret@b"]
)
def test_a_password_is_not_shown(mirror: str) -> None:
    with pytest.raises(UserError, match=r"data.mirror = '\w+://(host/mnist|b)': must be ") as refused:
        fetch.fetch(WHOLE, mirror)
    assert "ret" not in str(refused.value)


@pytest.mark.parametrize("name", ["../evil", "things/../../evil", "/tmp/evil"])
def test_a_member_that_climbs_out_is_refused(mirror: Path, name: str) -> None:
    pack(mirror / "things.tar.gz", evil=tarfile.TarInfo(name))
    with pytest.raises(UserError, match=rf"things.tar.gz: member '{name}' lies outside"):
        fetch.fetch(PACKED, str(mirror))


def test_a_link_is_no_original_file(mirror: Path) -> None:
    link = tarfile.TarInfo("things/two")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    with tarfile.open(mirror / "things.tar.gz", "w:gz") as tar:
        tar.addfile(link)
    with pytest.raises(UserError, match="holds no things/one"):
        fetch.fetch(PACKED, str(mirror))


def test_a_truncated_archive(mirror: Path) -> None:
    pack(mirror / "things.tar.gz")
    content = (mirror / "things.tar.gz").read_bytes()
    for length in (0, 40, len(content) // 2):
        (mirror / "things.tar.gz").write_bytes(content[:length])
        with pytest.raises(UserError, match=r"things.tar.gz: (is cut off|holds no)") as refused:
            fetch.fetch(PACKED, str(mirror))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("wanted", [mnist.MNIST, mnist.FASHION_MNIST, cifar.CIFAR10])
def test_what_is_published_is_what_is_verified(wanted: Source) -> None:
    addresses, md5 = wanted.published()
    assert all(address.startswith("http") for address in addresses)
    assert set(md5) == ({wanted.archive} if wanted.archive else {f"{file}.gz" for file in wanted.digests})
    assert all(len(digest) == 64 for digest in wanted.digests.values())
