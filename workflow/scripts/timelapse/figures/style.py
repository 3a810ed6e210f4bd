"""The look of every figure: sizes, fonts, colours.

Colours are Okabe and Ito's, which colour-blind readers tell apart. Wherever colour stands for a
sign, blue speaks for the answer and orange or red against it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

Dashes = Literal["-", "--", "-.", ":"]

DPI = 100
WIDTH = 12.0
HEADER = 1.05
MARGIN = 0.35

INK = "#222222"
MUTED = "#666666"
GHOST = "#a0a0a0"
FAINT = "#d9d9d9"
BLUE, ORANGE = "#0072B2", "#D55E00"
GREEN, PURPLE, YELLOW, SKY, AMBER = "#009E73", "#CC79A7", "#F0E442", "#56B4E9", "#E69F00"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, INK)
WINE = "#882255"
ROLES = (SKY, AMBER, GREEN, PURPLE, WINE, YELLOW)
"""The colours of the roles of heads, in the order of their table; none stands for a sign."""
DIVERGING = matplotlib.colormaps["RdBu"].resampled(101)
"""Few enough colours for a GIF's palette."""
SEQUENTIAL = matplotlib.colormaps["viridis"]
AMOUNT = matplotlib.colormaps["Blues"]
"""White for nothing."""

TITLE, CAPTION, LABEL, TICK, SMALL, SMALLEST = 16.0, 12.0, 12.0, 11.0, 9.5, 6.5

LUMINANCE = np.array([0.299, 0.587, 0.114])
"""How bright red, green and blue are."""

EMS_PER_CHARACTER = 0.58
"""Width of an average character, a little generous."""

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TICK,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": LABEL,
    "axes.titlesize": LABEL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": TICK,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "svg.hashsalt": "timelapse",
    "svg.fonttype": "none",
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw in this style, whatever the user's matplotlibrc says, and leave no trace of it."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of the given size in inches, with a canvas that renders to pixels."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def fit(text: Text, width: float) -> None:
    """Shrink a text until it is at most `width` inches wide; hinting makes that take some steps."""
    while (wide := text.get_window_extent().width / DPI) > width:
        text.set_fontsize(float(text.get_fontsize()) * min(width / wide, 0.98))


def tint(color: str, strength: float) -> str:
    """A colour mixed with white; all of it at strength 1."""
    red, green, blue = (1.0 - strength * (1.0 - part) for part in to_rgb(color))
    return to_hex((red, green, blue))


def ink_on(color: str) -> str:
    """The colour of text that is legible on a fill."""
    return INK if np.dot(to_rgb(color), LUMINANCE) > 0.45 else "white"


def limits(low: np.ndarray, high: np.ndarray, pad: float = 0.06) -> tuple[float, float]:
    """Axis limits that hold everything from `low` to `high`, and 0, with some air."""
    bottom = float(np.min(low, initial=0.0, where=np.isfinite(low)))
    top = float(np.max(high, initial=0.0, where=np.isfinite(high)))
    air = pad * ((top - bottom) or 1.0)
    return bottom - air, top + air


def raise_floor(axes: Axes, inches: float) -> None:
    """Lift the lower edge of axes, for tick labels that need more room."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_position()
    lift = inches / figure.get_size_inches()[1]
    axes.set_position((box.x0, box.y0 + lift, box.width, box.height - lift))


def floor_of(axes: Axes) -> float:
    """How many inches above the figure's lower edge axes begin."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return float(axes.get_position().y0 * figure.get_size_inches()[1])


def legend_above(axes: Axes, handles: Sequence[Artist]) -> None:
    """A legend in one row above the axes, where it covers no data."""
    axes.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(handles),
        borderaxespad=0.2,
    )


def footnote(figure: Figure, words: str, left: float, up: float = 0.25) -> None:
    """Write a small line at the foot of a figure, shrunk until it fits.

    Args:
        figure: the figure.
        words: the line.
        left: where it begins, in inches from the left edge.
        up: the middle of its height, in inches from the lower edge.
    """
    width, height = figure.get_size_inches()
    text = figure.text(left / width, up / height, words, size=SMALL, color=MUTED, va="center")
    fit(text, width - left - MARGIN)


def line_handle(label: str, color: str, width: float, dashes: Dashes = "-") -> Line2D:
    """A legend entry that looks like a line."""
    return Line2D([], [], color=color, linewidth=width, linestyle=dashes, label=label)


def name_ticks(axes: Axes, labels: Sequence[object], width: float) -> None:
    """Label 0, 1, 2, ... on the x axis within `width` inches.

    Long labels get smaller first; when that would make them illegible they stand upright, and the
    axes' floor rises to give them room.
    """
    names = [tick_name(label) for label in labels]
    longest = max(map(len, names))
    fitting = 72 * width / len(names) / (longest + 0.6) / EMS_PER_CHARACTER
    if fitting >= _SMALLEST_LEVEL:
        axes.set_xticks(range(len(names)), names, size=min(fitting, TICK))
        axes.tick_params(axis="x", length=0)
    else:
        size = max(SMALLEST, min(TICK, 72 * width / len(names) / 1.2))
        axes.set_xticks(range(len(names)), names, size=size, rotation=90)
        raise_floor(axes, (longest - 2) * EMS_PER_CHARACTER * size / 72)


def tick_name(label: object) -> str:
    """A label without needless decimals."""
    return f"{label:g}" if isinstance(label, float) else str(label)


_SMALLEST_LEVEL = 9.0
