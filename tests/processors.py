"""The same bits on every processor: `make test-processors`, or `PYTHONPATH=.:tests python tests/processors.py --quick`.

Small trainings and studies, on the processor at hand and on others under emulation, by qemu-user: one digest. They
run inline, since a process that they started would run on the processor at hand. QEMU imitates what a processor can
do and how libraries know it, not its silicon.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

QEMU = "qemu-x86_64"
PROCESSORS = ("Haswell", "Skylake-Client", "EPYC", "EPYC-Rome", "EPYC-Milan")
MISSING = f"{QEMU} is missing: apt-get install qemu-user"
ATTEMPTS = 3  # for a processor, where QEMU itself crashes: now and then it does, and then says nothing of the bits
CRASHED = "qemu: uncaught target signal 11"

Config = dict[str, Any]


class EmulatorCrashed(Exception):
    """Another processor's bits could not be had here."""


def configs(quick: bool) -> Iterator[Config]:
    """Every model, optimizer, schedule and augmentation, dropout, all kinds of convolution, batches of all sorts."""
    from reprotune.training.models import MODELS
    from reprotune.training.optimizers import OPTIMIZERS, SCHEDULES

    neutral: Config = {"lr": 0.01, "epochs": 1, "label_smoothing": 0.0, "weight_decay": 0.0, "normalise": False}
    neutral |= {"shift": 0, "flip": False, "cutout": 0, "momentum": 0.9}  # QEMU fails at SGD's kernel without momentum
    neutral |= {"layers": 2, "width_1": 9, "width_2": 7, "blocks": 2, "channels_1": 3, "channels_2": 5}
    neutral |= {"dropout_1": 0.3, "dropout_2": 0.2}
    changes: list[Config] = [
        {"batch_size": 16, "kernel": 3, "pooling": "flatten"},
        {"batch_size": 7, "kernel": 1, "pooling": "average", "shift": 2, "flip": True, "cutout": 3},
        {"batch_size": 1, "kernel": 3, "pooling": "flatten", "weight_decay": 0.1},
        {"batch_size": 59, "kernel": 5, "pooling": "average", "normalise": True, "label_smoothing": 0.1},
    ]
    names = list(SCHEDULES)
    for model in MODELS:
        for i, optimizer in enumerate(OPTIMIZERS):
            chosen = {"model": model, "optimizer": optimizer, "schedule": names[i % len(names)]}
            config = {**neutral, **chosen, **changes[i % len(changes)]}
            if (not quick or i % 2) and (model, config["batch_size"]) != ("mlp_bn", 1):
                yield config


def trained(folder: Path, quick: bool) -> Iterator[str]:
    from reprotune.data.images import Split
    from reprotune.data.stored import StoredDataset
    from reprotune.training.fit import learning_curve, new_model

    dataset = StoredDataset(folder)
    train, valid = (Split(*(tensor[:60] for tensor in dataset.load(split))) for split in ("train", "valid"))
    for config in configs(quick):
        model = new_model(config, dataset.inputs, 0)
        (point,) = learning_curve(model, config, train, valid, 0)
        yield repr((config["model"], config["optimizer"], point, [w.sum().item() for w in model.parameters()]))


def searched(folder: Path, quick: bool) -> Iterator[str]:
    """Each sampler whose studies have one identity everywhere, one and two objectives."""
    from conftest import InlineExecutor, make_params

    from reprotune.data.stored import StoredDataset
    from reprotune.search.samplers import PROPOSES_BY_TORCH, SAMPLERS, SINGLE_OBJECTIVE_ONLY
    from reprotune.search.study import declaration, journal, window

    samplers = [name for name in SAMPLERS if name not in PROPOSES_BY_TORCH]
    studies = [("single_objective", name) for name in samplers]
    studies += [("multi_objective", name) for name in samplers if name not in SINGLE_OBJECTIVE_ONLY]
    for name, sampler in [("single_objective", "tpe"), ("multi_objective", "tpe")] if quick else studies:
        changes: Config = {f"{name}__sampler": sampler, f"{name}__n_trials": 14, "execution__window": 2}
        if quick:  # TPE samples at random up to its tenth trial
            changes |= {f"{name}__n_trials": 12, "execution__window": 1}
        params = make_params(**changes, training__momentum=0.9)
        declared = declaration.from_params(params, name, StoredDataset(folder))
        with journal.opened(Path(f"{name}-{sampler}.log"), declared.directions, lambda _: False) as opened:
            for trial in window.run(declared, opened, InlineExecutor()):
                yield repr((declared.identity, trial.number, trial.config, trial.result.state, trial.result.curve))


def without_compiler() -> None:
    """What torch's optimizers take of torch's compiler, which they import: QEMU needs longer for that than for all."""
    import torch

    stand_in: Any = ModuleType("torch._dynamo")
    stand_in.disable, stand_in.graph_break = lambda function, *_, **__: function, lambda: None
    torch._dynamo = sys.modules[stand_in.__name__] = stand_in


def run(folder: Path, quick: bool) -> None:
    """Print the digest of all, and of the kernels, on whatever processor this is."""
    from reprotune.arithmetic import kernels  # first: it pins what NumPy reads as it loads

    import numpy as np  # isort: skip

    without_compiler()
    np.argsort = partial(np.argsort, kind="stable")  # QEMU 7.2 fails at AVX2's gathers, by which NumPy sorts otherwise
    with TemporaryDirectory() as scratch:
        os.chdir(scratch)
        lines = [*trained(folder, quick), *searched(folder, quick)]
    print(hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12], kernels.digest(), len(lines))


def digest(folder: Path, quick: bool, processor: str) -> str:
    """What `run` prints on a processor; on the one at hand if it has no name."""
    command = [sys.executable, __file__, "--run", str(folder), *(["--quick"] if quick else [])]
    here = Path(__file__).resolve().parent
    environment = os.environ | {"PYTHONPATH": f"{here.parent}{os.pathsep}{here}"}
    if processor:
        command = [QEMU, "-cpu", processor, *command]
        environment |= {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
    for _ in range(ATTEMPTS if processor else 1):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        if CRASHED not in done.stderr:
            raise AssertionError(f"{processor}: {done.stderr[-2000:]}")
    raise EmulatorCrashed(f"{processor}: QEMU crashed {ATTEMPTS} times, so nothing is known of its bits")


def _of_the_other_maker() -> str:
    return "EPYC-Milan" if "GenuineIntel" in Path("/proc/cpuinfo").read_text() else "Haswell"


def compare(quick: bool, others: Sequence[str]) -> dict[str, str]:
    """Processor → what `run` prints there; "" is the one at hand."""
    from conftest import blobs, make_data

    from reprotune.data import datasets
    from reprotune.data.datasets import Dataset

    with TemporaryDirectory() as made:
        datasets.DATASETS["blobs"] = Dataset(blobs, valid=80, test=80, classes=tuple("abcd"))
        datasets.download(make_data(dataset="blobs"), 0, Path(made))
        processors = ("", *others)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(processors, pool.map(partial(digest, Path(made), quick), processors), strict=True))


def main() -> None:
    from reprotune.arithmetic import kernels

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one processor of the other maker, and fewer trainings")
    parser.add_argument("--run", type=Path, metavar="DATASET", help="on this processor alone")
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run.resolve(), arguments.quick)
        return
    if not shutil.which(QEMU):
        sys.exit(f"error: {MISSING}")
    started = time.monotonic()
    try:
        found = compare(arguments.quick, (_of_the_other_maker(),) if arguments.quick else PROCESSORS)
    except EmulatorCrashed as crashed:
        sys.exit(f"error: {crashed}")
    for processor, line in found.items():
        print(f"{line}  {processor or 'the processor at hand'}")
    same = {line.split()[1] for line in found.values()} == {kernels.TRIED} and len(set(found.values())) == 1
    print(f"{'one digest' if same else 'DIFFERENT digests'}, {time.monotonic() - started:.0f} s")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
