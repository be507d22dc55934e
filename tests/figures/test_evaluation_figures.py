"""The figures of the evaluation: nothing that is to be seen lies outside of the axes or is named twice."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reprotune.artifacts import file_digest
from reprotune.figures import evaluation, model
from reprotune.figures.pareto_front import Front
from reprotune.figures.style import TrialPoint, save
from reprotune.training.predictions import Prediction

POINTS = [TrialPoint("COMPLETE", 250, 0.5), TrialPoint("PRUNED", 450, 0.1)]
SUMMARY = {
    name: {"test_accuracy": {"mean": mean, "std": 0.05, "n": 2}, "flops": flops, "parameters": flops}
    for name, mean, flops in [("best", 0.9, 400), ("knee", 0.2, 250), ("default", 0.4, 300)]
}


def test_the_axes_hold_all_test_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = list[tuple[float, float]]()

    def noting(path: Path, draw: Callable[[Any], None]) -> None:
        def noted(axes: Any) -> None:
            draw(axes)
            limits.append(axes.get_ylim())

        save(path, noted)

    monkeypatch.setattr(evaluation, "save", noting)
    evaluation.write(tmp_path / "scores.svg", Front("flops", POINTS, [(250, 0.5)], floor=0.0), SUMMARY)
    assert limits[0][0] < 0.2 - 0.05 < 0.9 + 0.05 < limits[0][1]
    figure = (tmp_path / "scores.svg").read_text()
    assert figure.count("<!-- knee -->") == 1
    assert "<!-- 1 below the axis -->" in figure


def test_marks_of_what_is_below_the_axis_only_where_something_is(tmp_path: Path) -> None:
    evaluation.write(tmp_path / "a.svg", Front("flops", POINTS[:1], [(250, 0.5)], floor=0.0), SUMMARY)
    assert "below the axis" not in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize("classes", [3, 30])
def test_figures_of_the_model(tmp_path: Path, classes: int) -> None:
    """Of many classes, those that are recognised worst; the same bytes each time; a dollar in a name is a dollar."""
    names = [f"${at}$" for at in range(classes)]
    found = [Prediction(at, at, at if at % 3 else (at + 1) % classes, 0.75) for at in range(classes)]
    for folder in ("a", "b"):
        model.write(tmp_path / folder, found, names)
    figures = {path.stem: path.read_text() for path in (tmp_path / "a").iterdir()}
    assert set(figures) == set(model.FIGURES)
    for path in (tmp_path / "a").iterdir():
        assert file_digest(path) == file_digest(tmp_path / "b" / path.name)
    shown = "the 20 classes that are recognised worst" if classes > 20 else "each class"
    assert f"<!-- Confusions of {shown} -->" in figures["confusion_matrix"]
    assert len(re.findall(r"<!-- \$\d+\$ \(1\) -->", figures["class_accuracy"])) == min(20, classes)
    assert "image/png" not in figures["confusion_matrix"]  # whose bytes a processor would decide


def test_names_of_classes_in_any_letters_and_length(tmp_path: Path) -> None:
    """What Matplotlib's font lacks is text, which a reader's fonts draw; a long name leaves room for the axes. Neither
    is a warning, which would fail here.
    """
    names = ["고양이", "猫" * 30, "Grape___Leaf_blight_(Isariopsis_Leaf_Spot)", "слон"]
    model.write(tmp_path, [Prediction(at, at, at, 0.75) for at in range(4)], names)
    text = (tmp_path / "class_accuracy.svg").read_text()
    for shown in ("고양이", "猫猫猫猫 …猫猫猫猫猫", "Grape___L…Leaf_Spot)", "слон"):
        assert f">{shown} (1)</text>" in text
    model.write(tmp_path, [Prediction(at, at, at, 0.75) for at in range(2)], ["слон", "Käfer"])
    assert "<text" not in (tmp_path / "class_accuracy.svg").read_text()  # paths, where it has all


@pytest.mark.parametrize(("best", "title"), [([0.9], "+10.00 points on test (1 seed)"), ([0.9, 0.9], "+10.00 points")])
def test_the_gain(tmp_path: Path, best: list[float], title: str) -> None:
    evaluation.write_gain(tmp_path / "gain.svg", best, [0.8] * len(best))
    figure = (tmp_path / "gain.svg").read_text()
    assert f"<!-- Best − default: {title}" in figure
    assert ("<!-- lead, 95% interval -->" in figure) == (len(best) > 1)
