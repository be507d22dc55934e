"""A worker a GPU, and two a GPU, as docs/cluster.md starts them. By the variable's values: no GPU is needed."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, facts, run
from deployment import deployed, kill, search, spec
from distributed import Client
from parts import documented

from reprotune.data.stored import StoredDataset

pytestmark = pytest.mark.cluster


def test_each_worker_sees_its_gpu(dataset: StoredDataset, tmp_path: Path) -> None:
    declared = spec(dataset)
    with deployed(tmp_path, workers=0) as deployment:
        ours = {
            "tcp://127.0.0.1:8786": deployment.address,
            "0 1 2 3": "0 1",
            "dask worker": f"{sys.executable} -m dask worker",
        }
        script = documented("docs/cluster.md", "CUDA_VISIBLE_DEVICES", ours)
        variables = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "DASK_LOGGING__DISTRIBUTED": "error"}
        shell = subprocess.Popen(["bash", "-c", f"{script}wait"], cwd=tmp_path, env=variables)
        with Client(deployment.address) as client:
            client.wait_for_workers(4, timeout=600)
            seen = client.run(os.getenv, "CUDA_VISIBLE_DEVICES")
        found = search(declared, deployment, tmp_path)
        kill(shell)
    assert Counter(seen.values()) == {"0": 2, "1": 2}
    assert facts(found) == facts(run(declared, tmp_path / "inline"))
