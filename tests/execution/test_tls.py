"""Dask's own TLS, with certificates made here: who has none is not let in, and no task is sent in the clear."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dask
import distributed  # noqa: F401  so that Dask's configuration is whole before it is changed
import pytest
from conftest import facts, make_execution, run
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from deployment import Deployment, deployed, search, spec

from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.execution import dask_client, engines

Key = ec.EllipticCurvePrivateKey


def certificate(folder: Path, name: str, issuer: tuple[str, Key] | None = None) -> Key:
    """NAME.crt and NAME.key, signed by the issuer or else by itself; the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    by, signer = issuer or (name, key)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return key


def options(folder: Path, name: str) -> dict[str, str]:
    return {
        "ca-file": str(folder / "authority.crt"),
        "cert": str(folder / f"{name}.crt"),
        "key": str(folder / f"{name}.key"),
    }


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = certificate(folder, "authority")
    certificate(folder, "member", ("authority", authority))
    certificate(folder, "stranger")
    return folder


@pytest.fixture(scope="module")
def deployment(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    member = [part for key, value in options(certificates, "member").items() for part in (f"--tls-{key}", value)]
    with deployed(tmp_path_factory.mktemp("tls"), workers=2, options=tuple(member), protocol="tls") as deployment:
        yield deployment


def trusting(folder: Path, name: str) -> dask.config.set:
    """What a person writes into Dask's configuration."""
    found = options(folder, name)
    tls = {"ca-file": found["ca-file"], "client.cert": found["cert"], "client.key": found["key"]}
    return dask.config.set({f"distributed.comm.tls.{key}": value for key, value in tls.items()})


@pytest.fixture
def elsewhere(dataset: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredDataset:
    """A dataset under a path that leads nowhere from where a worker is."""
    shutil.copytree(dataset.folder, tmp_path / "data/blobs")
    monkeypatch.chdir(tmp_path)
    return StoredDataset(Path("data/blobs"))


def test_the_same_trials_and_a_dataset_that_is_sent_once(
    deployment: Deployment, certificates: Path, elsewhere: StoredDataset, tmp_path: Path
) -> None:
    assert deployment.address.startswith("tls://")
    declared = spec(elsewhere)
    expected = facts(run(declared, tmp_path / "inline"))
    with trusting(certificates, "member"):
        assert facts(search(declared, deployment, tmp_path / "first")) == expected
        (kept,) = deployment.datasets
        assert kept.name == elsewhere.digest
        sent = {path.name: path.stat().st_ino for path in kept.iterdir()}
        assert sent.keys() == {name for name, _ in elsewhere.shared_files.files}
        assert facts(search(declared, deployment, tmp_path / "second")) == expected
    assert {path.name: path.stat().st_ino for path in kept.iterdir()} == sent


@pytest.mark.parametrize("who", ["nobody", "stranger", "in the clear"])
def test_who_has_no_certificate_is_refused(
    who: str, deployment: Deployment, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client, "_PATIENCE", 1)
    address = deployment.address.replace("tls://", "tcp://") if who == "in the clear" else deployment.address
    known = trusting(certificates, who) if who == "stranger" else dask.config.set({})
    line = rf"^params.yaml: execution.scheduler = '{address}': cannot be reached within 1 s \(.*\)$"
    with known, pytest.raises(UserError, match=line) as refused:
        with engines.started(make_execution(engine="dask", scheduler=address)):
            pass
    assert "\n" not in str(refused.value)
