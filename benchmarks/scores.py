"""The tables of docs/scores.md: `python -m benchmarks.scores fashion-mlp fashion-cnn --mirror FOLDER --keep FOLDER`.

Runs each preset's whole pipeline in a clone of this commit, in the folder that is kept, and prints what it found: a
table of the presets, and one of the winners of each. A clone that is there goes on where it was. Figures go to docs/.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

from reprotune.artifacts import read_json, read_yaml
from reprotune.results import digest
from reprotune.results.scores import on_valid, titles, told

ROOT = Path(__file__).parents[1]
FIGURES = ("evaluation/figures/test_scores.svg", "single_objective/figures/learning_curves.svg")


def run(name: str, clone: Path, mirror: str | None) -> float:
    """Its seconds."""
    if not clone.exists():
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607
        preset = (ROOT / f"presets/{name}.yaml").read_text(encoding="utf-8")
        chosen = preset.replace("mirror: null ", f"mirror: {mirror} ") if mirror else preset
        (clone / "params.yaml").write_text(chosen, encoding="utf-8")
        (clone / ".venv").symlink_to(sys.prefix)
    started = time.perf_counter()
    subprocess.run(["make", "repro"], cwd=clone, check=True, stdout=sys.stderr)  # noqa: S607
    return time.perf_counter() - started


def summary(name: str, results: Path, seconds: float) -> str:
    """A row: what its studies trained, the best config's score beside the default's, the time, the digest."""
    first, second = (read_json(results / f"{study}_objective/metrics.json") for study in ("single", "multi"))
    scores = read_json(results / "evaluation/metrics.json")
    best, default = (told(scores[winner]["test_accuracy"]) for winner in ("best", "default"))
    studies = ", ".join(f"{study['trials']} trials, {study['epochs']} epochs" for study in (first, second))
    with chdir(results.parent):
        found = digest.of_files()[:12]
    return f"| `{name}` | {studies} | **{best}** | {default} | {seconds / 60:.0f} min | {found} |"


def winners(name: str, results: Path) -> Iterator[str]:
    """A row for each of the front's and for the first study's best."""
    front = read_yaml(results / "multi_objective/best_configs.yaml")
    configs = {"best": read_yaml(results / "single_objective/best_config.yaml"), **front}
    scores = read_json(results / "evaluation/metrics.json")
    for winner, title in {"best": "best", **titles(front)}.items():
        yield f"| `{name}` | {title} | {_net(configs[winner]['params'])} | {_cells(configs[winner], scores[winner])} |"


def _net(config: Mapping[str, Any]) -> str:
    """mlp_bn 253, 496: its model and what its layers have."""
    sizes = [str(value) for key, value in config.items() if re.fullmatch(r"(width|channels)_\d+", key)]
    return f"{config['model']} {', '.join(sizes)}; {config['epochs']}"


def _cells(config: Mapping[str, Any], score: Mapping[str, Any]) -> str:
    accuracies = f"{on_valid(config)} | {told(score['test_accuracy'])}"
    return f"{accuracies} | {config['parameters']:,} | {config['flops']:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
    parser.add_argument("--mirror", help="a folder with the datasets' original files")
    parser.add_argument("--keep", type=Path, required=True, help="where the clones are")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names:
        clone = arguments.keep / name
        seconds = run(name, clone, arguments.mirror)
        rows.append(summary(name, clone / "results", seconds))
        for figure in FIGURES:
            shutil.copy(clone / "results" / figure, ROOT / f"docs/{name.replace('-', '_')}_{Path(figure).name}")
    print("| preset | its two studies | best on test | untuned default | time | digest |\n" + "|---" * 6 + "|")
    print(*rows, sep="\n", end="\n\n")
    print("| preset | winner | net; epochs | valid | test | parameters | FLOPs |\n" + "|---" * 7 + "|")
    for name in arguments.names:
        print(*winners(name, arguments.keep / name / "results"), sep="\n")


if __name__ == "__main__":
    main()
