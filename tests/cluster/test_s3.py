"""A DVC remote and MLflow's artifacts in S3, by moto's server, which stands in for it: are the calls right?

Credentials are in the environment alone.
"""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from clone import Clone
from deployment import free_ports, kill, mlflow_server
from mlflow import MlflowClient
from parts import need

pytestmark = pytest.mark.cluster

TRIALS, NONE = 4, {"count": 0, "repeats": 1}
SECRET = uuid4().hex  # not to be written anywhere


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The variables with which it is reached; it has one bucket, team."""
    need(modules="boto3 dvc_s3 moto")
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with (tmp_path_factory.mktemp("s3") / "log").open("ab") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while not _answers(address):
            assert process.poll() is None
            time.sleep(0.2)
        _client(address).create_bucket(Bucket="team")
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        kill(process)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def _client(address: str) -> Any:
    import boto3

    known = {"aws_access_key_id": "someone", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=address, **known)


def test_a_clone_elsewhere_has_nothing_to_do_and_can_be_verified(s3: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    here = Clone(tmp_path / "here", TRIALS)
    for study in ("single_objective", "multi_objective"):
        here.change(study, finalists=NONE)
    here.run("dvc", "repro", "multi_objective")
    here.run("dvc", "remote", "add", "--default", "store", "s3://team/reprotune")
    here.commit("Results")
    here.run("dvc", "push", variables=s3)

    subprocess.run(["git", "clone", "--quiet", str(here.path), str(tmp_path / "elsewhere")], check=True)
    elsewhere = copy(here)
    elsewhere.path = tmp_path / "elsewhere"
    elsewhere.run("dvc", "pull", "download", "single_objective", "multi_objective", variables=s3)
    assert "up to date" in elsewhere.run("dvc", "repro", "multi_objective")
    assert elsewhere.status() == ""
    assert elsewhere.results() == here.results()
    verified = elsewhere.run(sys.executable, "-m", "stages.verify", "--all")
    assert verified.count(f"{TRIALS} of {TRIALS} trials agree") == 2
    written = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert written == []


def test_mlflows_artifacts_go_through_its_server(s3: Mapping[str, str], tmp_path: Path) -> None:
    """Which alone has the credentials."""
    (port,) = free_ports(1)
    (tmp_path / "clone").mkdir()
    clone = Clone(tmp_path / "clone", TRIALS)
    clone.change("single_objective", finalists=NONE)
    clone.run(sys.executable, "-m", "stages.download")
    address = f"http://127.0.0.1:{port}"
    with mlflow_server(f"sqlite:///{tmp_path}/server.db", "s3://team/mlflow", port, tmp_path / "server.log", s3):
        clone.run(sys.executable, "-m", "stages.single_objective", variables={"MLFLOW_TRACKING_URI": address})
        client = MlflowClient(address)
        experiment = client.get_experiment_by_name("single_objective")
        assert experiment is not None
        (parent,) = client.search_runs([experiment.experiment_id], "tags.project != ''")
        fetched = Path(client.download_artifacts(parent.info.run_id, "trials.csv", str(tmp_path)))
        assert fetched.read_bytes() == (clone.path / "results/single_objective/trials.csv").read_bytes()
    stored = _client(s3["AWS_ENDPOINT_URL"]).list_objects_v2(Bucket="team", Prefix="mlflow/")
    assert any(entry["Key"].endswith(f"{parent.info.run_id}/artifacts/trials.csv") for entry in stored["Contents"])
