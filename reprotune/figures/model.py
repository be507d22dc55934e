"""The model that was found, on the test images: its accuracy a class, its confusions, its calibration."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.cells import cell_len, set_cell_size

from reprotune.figures.style import BLUE, ORANGE, save
from reprotune.results import classification
from reprotune.training.predictions import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20  # classes that a figure has room for
_COLUMNS = 20  # of a class's name
_SHADED = 0.6  # of the darkest: above it, a number is white


class Model(NamedTuple):
    """What is drawn of it."""

    predictions: Sequence[Prediction]
    classes: Sequence[str]  # their names, none longer than there is room for
    confusions: Sequence[Sequence[int]]

    def shown(self) -> list[int]:
        """The classes in their order; of too many, those that are recognised worst."""
        recalls = classification.recalls(self.confusions)
        worst = sorted(range(len(recalls)), key=lambda i: 2.0 if (recall := recalls[i]) is None else recall)
        return sorted(worst[:_MOST])


def write(folder: Path, predictions: Sequence[Prediction], classes: Sequence[str]) -> None:
    names = [_shortened(name) for name in classes]
    model = Model(predictions, names, classification.confusion_matrix(predictions, len(classes)))
    for name, draw in FIGURES.items():
        save(folder / f"{name}.svg", partial(draw, model), names)


def _shortened(name: str) -> str:
    """Its beginning and its end, if it is long: it would push the axes out of the figure."""
    if cell_len(name) <= _COLUMNS:
        return name
    return f"{set_cell_size(name, _COLUMNS // 2 - 1)}…{set_cell_size(name[::-1], _COLUMNS // 2)[::-1]}"


def _class_accuracy(model: Model, axes: "Axes") -> None:
    shown = [at for at in model.shown() if sum(model.confusions[at])]
    for row, at in enumerate(shown):
        images, right = sum(model.confusions[at]), model.confusions[at][at]
        low, high = classification.wilson(right, images)
        axes.plot([low, high], [row, row], color=BLUE, linewidth=2)
        axes.plot(right / images, row, color=BLUE, marker="o")
    names = [f"{model.classes[at]} ({sum(model.confusions[at])})" for at in shown]
    whole = sum(found.predicted == found.label for found in model.predictions) / len(model.predictions)
    axes.axvline(whole, color="black", linestyle="--", linewidth=1, label="all classes")
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.invert_yaxis()
    axes.set(title=f"Test accuracy of {drawn(len(model.classes))}", xlabel="test accuracy, with a 95% interval")
    axes.set_ylabel("class (test images)")


def _confusion_matrix(model: Model, axes: "Axes") -> None:
    shown = model.shown()
    shares = [[model.confusions[row][column] / (sum(model.confusions[row]) or 1) for column in shown] for row in shown]
    # Not imshow: that is a compressed picture, whose bytes differ between processors.
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="#dddddd", linewidth=0.5)
    for y, row in enumerate(shown):
        for x, column in enumerate(shown):
            if images := model.confusions[row][column]:
                colour = "white" if shares[y][x] > _SHADED else "black"
                at: dict[str, Any] = {"horizontalalignment": "center", "verticalalignment": "center"}
                axes.text(x + 0.5, y + 0.5, str(images), color=colour, fontsize=9 if len(shown) <= 10 else 6, **at)
    names, places = [model.classes[at] for at in shown], [at + 0.5 for at in range(len(shown))]
    long = max(map(len, names)) > 3
    axes.set_xticks(places, names, rotation=90 if long else 0, parse_math=False)
    axes.set_yticks(places, names, parse_math=False)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set(title=f"Confusions of {drawn(len(model.classes))}", xlabel="predicted class", ylabel="label")


def drawn(classes: int) -> str:
    """Which of so many."""
    return f"the {_MOST} classes that are recognised worst" if classes > _MOST else "each class"


def _calibration(model: Model, axes: "Axes") -> None:
    bins = classification.calibration(model.predictions)
    error = classification.expected_calibration_error(bins)
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="perfect")
    held = [(found.confidence, found.accuracy) for found in bins if found.images]
    axes.plot(*zip(*held, strict=True), color=BLUE, marker="o", label="accuracy")
    axes.bar(
        [(found.low + found.high) / 2 for found in bins],
        [found.images / len(model.predictions) for found in bins],
        width=1 / len(bins),
        color=ORANGE,
        alpha=0.35,
        label="share of the images",
    )
    axes.set(title=f"Calibration: expected error {100 * error:.1f} points", xlabel="confidence", ylabel="share")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))


FIGURES: Mapping[str, Callable[[Model, "Axes"], None]] = {
    "class_accuracy": _class_accuracy,
    "confusion_matrix": _confusion_matrix,
    "calibration": _calibration,
}
