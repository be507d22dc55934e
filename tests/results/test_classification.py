"""What predictions say of a classifier, in values that can be counted by hand."""

import math
from pathlib import Path

import pytest

from reprotune.artifacts import read_csv, read_json
from reprotune.pipeline import evaluation
from reprotune.results import classification
from reprotune.training.predictions import Prediction

# Of class a (8 images) 6 are right, of b (2) one; c has none, and one image is taken for it.
FOUND = [
    *(Prediction(image, 0, 0, 0.95) for image in range(6)),
    Prediction(6, 0, 1, 0.55),
    Prediction(7, 0, 2, 0.85),
    Prediction(8, 1, 1, 0.55),
    Prediction(9, 1, 0, 0.95),
]
CLASSES = ("a", "b", "c")


def test_confusions_and_accuracy_by_class() -> None:
    matrix = classification.confusion_matrix(FOUND, 3)
    assert matrix == [[6, 1, 1], [1, 1, 0], [0, 0, 0]]
    assert classification.recalls(matrix) == [0.75, 0.5, None]
    assert classification.precisions(matrix) == [6 / 7, 0.5, 0.0]
    assert classification.balanced_accuracy(matrix) == pytest.approx(0.625)  # not 0.7


def test_calibration() -> None:
    bins = classification.calibration(FOUND)
    held = {(found.low, found.high): found for found in bins if found.images}
    assert {at: found.images for at, found in held.items()} == {(0.5, 0.6): 2, (0.8, 0.9): 1, (0.9, 1.0): 7}
    assert held[0.5, 0.6].accuracy == 0.5
    assert held[0.9, 1.0].accuracy == 6 / 7
    error = 0.2 * 0.05 + 0.1 * 0.85 + 0.7 * (0.95 - 6 / 7)
    assert classification.expected_calibration_error(bins) == pytest.approx(error)


@pytest.mark.parametrize(("confidence", "bin_of"), [(0.0, 0), (0.1, 0), (0.1001, 1), (0.3, 2), (0.7, 6), (1.0, 9)])
def test_a_bin_ends_with_its_upper_edge(confidence: float, bin_of: int) -> None:
    bins = classification.calibration([Prediction(0, 0, 0, confidence)])
    assert [at for at, found in enumerate(bins) if found.images] == [bin_of]


def test_mistakes_are_told_by_their_confidence() -> None:
    assert [found.image for found in classification.mistakes(FOUND)] == [9, 7, 6]


def test_wilsons_interval() -> None:
    low, high = classification.wilson(9, 10)
    assert low == pytest.approx(0.5958, abs=1e-4)
    assert high == pytest.approx(0.9821, abs=1e-4)
    assert math.isclose(classification.wilson(10, 10)[1], 1)


def test_the_files_hold_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation.write_predictions(FOUND, CLASSES)
    assert classification.read(evaluation.FOLDER / "predictions.csv", CLASSES) == FOUND
    summary = read_json(evaluation.FOLDER / "model_metrics.json")
    assert (summary["images"], summary["mistakes"], summary["accuracy"]) == (10, 3, 0.7)
    rows = read_csv(evaluation.FOLDER / "classes.csv")
    assert rows[2] == {"class": "c", "images": "0", "accuracy": "", "precision": "0.0"}
    matrix = read_csv(evaluation.FOLDER / "confusion_matrix.csv")
    assert matrix[0] == {"label": "a", "a": "6", "b": "1", "c": "1"}
    assert len(read_csv(evaluation.FOLDER / "calibration.csv")) == classification.BINS
