"""What all figures share: colours, markers, limits, and a file with the same bytes for the same values."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reprotune.artifacts import atomic_write
from reprotune.data.metric import told
from reprotune.params import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.typing import RcKeyType

# Okabe and Ito's palette, told apart by the colour-blind too.
BLUE, ORANGE, VERMILION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
COLOURS = {"COMPLETE": BLUE, "PRUNED": ORANGE, "FAIL": VERMILION}
MARKERS = {"COMPLETE": "o", "PRUNED": "x", "FAIL": "v"}
UNITS = {"flops": "FLOPs of one example", "parameters": "parameters"}

_CHARACTERS = 84  # that a figure's legend has room for beside each other; a mark takes as much as eight


def on_valid(metric: Metric) -> str:
    """The unit of a trial's accuracy."""
    return f"validation {told(metric)}"


class TrialPoint(NamedTuple):
    """A trial as a point over x."""

    state: str
    x: float
    accuracy: float


def scatter(axes: "Axes", points: Sequence[TrialPoint]) -> None:
    """The points, a colour and a marker a state."""
    for state in (state for state in COLOURS if any(point.state == state for point in points)):
        x, y = zip(*((point.x, point.accuracy) for point in points if point.state == state), strict=True)
        axes.scatter(
            x,
            y,
            s=16,
            linewidth=1,
            color=COLOURS[state],
            marker=MARKERS[state],
            label=state.lower(),
            gid=f"trials-{state}",
        )


def mark_clipped(axes: "Axes", points: Sequence[TrialPoint]) -> None:
    """Once the limits are set: a mark on the axis for each point below it, and in the legend how many there are."""
    low = axes.get_ylim()[0]
    if below := [point.x for point in points if point.accuracy < low]:
        style: dict[str, Any] = {"color": "#666666", "marker": 11, "markersize": 5, "linestyle": "", "clip_on": False}
        axes.plot(below, [low] * len(below), label=f"{len(below)} below the axis", **style)


def upper_part(accuracies: Sequence[float]) -> tuple[float, float]:
    """Limits that hold the better three quarters, where the differences that matter are."""
    ordered = sorted(accuracies)
    low = ordered[len(ordered) // 4]
    return (low - 0.25 * (ordered[-1] - low) - 0.01, min(1.005, ordered[-1] + 0.02))


def label_costs(axis: "Axis", wide: bool) -> None:
    """20k, 50k, 100k, … : what fits beside each other at half width."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_minor_formatter(NullFormatter())


def save(path: Path, draw: Callable[["Axes"], None], names: Iterable[str] = ()) -> None:
    """names: those in it that a user gave. Letters that Matplotlib's font lacks are left to the fonts of who looks."""
    with _defaults({"svg.hashsalt": path.stem, "font.size": 11, "axes.grid": True, "grid.alpha": 0.3}):
        from matplotlib import rcParams
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        if _beyond_the_font("".join(names)):
            rcParams["svg.fonttype"] = "none"
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        if labels := axes.get_legend_handles_labels()[1]:  # below the axes, where it hides no point
            fitting = _CHARACTERS // (max(map(len, labels)) + 8)
            ncols = max(1, min(4, len(labels), fitting))
            figure.legend(loc="outside lower center", ncols=ncols, columnspacing=1.2, handletextpad=0.5)
        with atomic_write(path) as temporary:
            # `savefig` would draw it twice.
            FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
                temporary, metadata={"Date": None, "Creator": None}
            )


def _beyond_the_font(text: str) -> bool:
    if text.isascii():
        return False
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return not all(font.get_char_index(ord(letter)) for letter in text)


@contextmanager
def _defaults(changed: "Mapping[RcKeyType, Any]") -> Iterator[None]:
    """Matplotlib's own settings, but for those that are `changed`, whatever a user's matplotlibrc says."""
    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    with chdir(Path(found.origin).parent / "mpl-data"):  # of all matplotlibrc it reads the current folder's alone
        import matplotlib as mpl  # 1 s, at the end of a study
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()  # who imported it earlier may have other settings
        mpl.rcParams.update(changed)
        yield
