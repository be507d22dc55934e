"""A section of params.yaml as a study, or a line that refuses it."""

from pathlib import Path

import pytest
from conftest import make_params, run
from contract import spec

from reprotune.arithmetic import kernels
from reprotune.data.stored import StoredDataset
from reprotune.errors import UserError
from reprotune.search.history import History
from reprotune.search.study import declaration, tasks


def test_caps_that_nothing_can_keep_are_refused(dataset: StoredDataset) -> None:
    least = {"max_flops": 2 * (64 * 2 + 2 * 4), "max_parameters": 64 * 2 + 2 + 2 * 4 + 4}
    for cap, cost in least.items():
        spec(dataset, "single_objective", **{cap: cost})
        line = rf"^params.yaml: single_objective.{cap} = {cost - 1}: must be {cost} or more: the smallest model of"
        with pytest.raises(UserError, match=line):
            spec(dataset, "single_objective", **{cap: cost - 1})
    own = {"first": [{"width": 2, "epochs": 2}, {"width": 8, "epochs": 2}], "max_flops": 1000}
    with pytest.raises(UserError, match=r"^params.yaml: single_objective.first.1 = \{.*\}: max_flops: 1216 above 1000"):
        spec(dataset, "single_objective", **own)


@pytest.mark.parametrize(
    ("chosen", "gpu", "device"),
    [("cpu", True, "cpu"), ("auto", False, "cpu"), ("auto", True, "cuda"), ("cuda", True, "cuda")],
)
def test_the_device_is_resolved_into_the_study(
    dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch, chosen: str, gpu: bool, device: str
) -> None:
    by_default = spec(dataset).identity
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "GPU of a test")
    declared = declaration.from_params(make_params(training__device=chosen), "single_objective", dataset)
    assert declared.device == tasks.task(declared, 0, {}, History()).device == device
    assert kernels.environment(declared.device)["device"] == ("GPU of a test" if device == "cuda" else "cpu")
    assert (declared.identity == by_default) == (device == "cpu")


def test_a_gpu_that_is_not_there_is_refused_by_what_trains(
    dataset: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But a report of what another machine's has trained is drawn."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    chosen = make_params(training__device="cuda")
    line = r"^params.yaml: training.device = 'cuda': no CUDA GPU is found here; must be cpu or auto$"
    with pytest.raises(UserError, match=line):
        declaration.check_params(chosen)
    declared = declaration.from_params(chosen, "single_objective", dataset)
    assert (declared.device, declared.environment["device"]) == ("cuda", "cuda")
    assert declared.declared == spec(dataset).declared


def test_the_second_study_tries_the_firsts_best_after_ones_own(dataset: StoredDataset, tmp_path: Path) -> None:
    best = run(spec(dataset), tmp_path)[5].config
    own = make_params(multi_objective__first=[{"width": 5, "epochs": 3}])
    declared = declaration.multi_objective(own, dataset, best)
    assert [config["width_1"] for config in declared.first] == [5, best["width_1"]]
    assert declared.first[1] == best
    assert declaration.multi_objective(own, dataset, declared.first[0]).first == declared.first[:1]  # not twice
    assert declaration.multi_objective(own, dataset, {**best, "width_1": 99}).first == declared.first[:1]
    small = make_params(multi_objective__max_flops=2 * (64 * 2 + 2 * 4))
    assert declaration.multi_objective(small, dataset, best).first == ()
