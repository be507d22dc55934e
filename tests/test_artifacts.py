import hashlib
import math
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from reprotune import artifacts
from reprotune.errors import UserError


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    artifacts.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), artifacts.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert artifacts.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write_json(tmp_path / "metrics.json", {"loss": math.nan})
    assert list(tmp_path.iterdir()) == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    folder = tmp_path_factory.getbasetemp()
    artifacts.write_csv(folder / "values.csv", ["value"], [[value]])
    artifacts.write_json(folder / "values.json", [value])
    artifacts.write_yaml(folder / "values.yaml", {"value": value})
    read = artifacts.read_yaml(folder / "values.yaml")["value"]
    assert float(artifacts.read_csv(folder / "values.csv")[0]["value"]).hex() == value.hex()
    assert artifacts.read_json(folder / "values.json")[0].hex() == value.hex()
    assert float(read).hex() == value.hex()


def test_none_is_an_empty_cell(tmp_path: Path) -> None:
    artifacts.write_csv(tmp_path / "a.csv", ["a", "b"], [[None, "x"]])
    assert (tmp_path / "a.csv").read_bytes() == b"a,b\n,x\n"


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert artifacts.file_digest(tmp_path / "file") == hashlib.sha256(b"abc").hexdigest()
    assert artifacts.digest({"b": 1, "a": 2}) == artifacts.digest({"a": 2, "b": 1})
    assert artifacts.digest({"a": 1}) != artifacts.digest({"a": 1.5})


def test_who_waits_for_a_lock_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(artifacts, "_UNNOTICED", 0)
    with FileLock(tmp_path / "a.lock"):
        with pytest.raises(UserError, match=r"a\.lock: somebody has it; wait for it or stop it$"):
            with artifacts.locked(tmp_path / "a.lock", "somebody has it", 0.1):
                raise AssertionError
    assert capsys.readouterr().err == f"{tmp_path}/a.lock: somebody has it; waiting for it, up to 0.1 s\n"
    with artifacts.locked(tmp_path / "a.lock", "somebody has it", 0.1):  # a file that is left is nobody's lock
        pass
    assert capsys.readouterr().err == ""
