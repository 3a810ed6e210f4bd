"""A point for every head, one panel beside the other, on axes that are the same in all frames.

On the diagonal both values are equal. The first checkpoint stays behind in grey.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from timelapse.figures import style
from timelapse.figures.figure_tables import Key, Pivot, pivot, where
from timelapse.stats import Z95

_DEPTHS = (0.0, 0.92)
"""The part of the colour map in use: its palest end is hard to see on white."""

_SMALL = 0.15
"""The share of the largest value in the figure up to which a head gets no name."""

_SIDES = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
"""Where a name may stand beside its point, the best first."""


class ScatterDrawing:
    """An open scatter plot; see `film.FilmDrawing`.

    Attributes:
        panels: the points of each panel.
    """

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        x: Mapping[str, Key],
        y: Mapping[str, Key],
        xlabel: str,
        ylabel: str,
        unit: str,
        panel: str,
        named: int = 6,
        ceiling: float = 1.5,
    ) -> None:
        """
        Args:
            table: the probe's rows of all steps.
            source: where they come from, for messages.
            x: the rows whose values go to the right.
            y: the rows whose values go upwards; heads that share keys and values share the
                point's y.
            xlabel: what the first value is.
            ylabel: what the second value is.
            unit: the unit of both, written once.
            panel: the column that gets a panel of its own for each value.
            named: how many heads of a panel carry their names, those that ever matter most.
            ceiling: the largest |value| that the axes reach; what lies beyond is drawn there.

        Raises:
            UserError: the table has no such rows, or several for one place.
        """
        axes_of = (panel, "layer", "head")
        across, up = (pivot(where(table, part, source), axes_of, source) for part in (x, y))
        self.steps = tuple(map(int, across.steps))
        panels, layers, heads = across.labels
        names = [f"a{layer}.h{head}" for layer in layers for head in heads]
        self._value, self._spread = _points(across, up)
        low, high = style.limits(self._value - self._spread, self._value + self._spread)
        self._limits = max(low, -ceiling), min(high, ceiling)
        colors = matplotlib.colormaps["viridis"](np.linspace(*_DEPTHS, len(layers)))

        floor, gap, bar = 1.0, 0.35, 1.15
        wide = (style.WIDTH - 1.0 - bar - gap * (len(panels) - 1)) / len(panels)
        side = min(wide, 5.6)
        height = floor + side + 0.45 + style.HEADER
        self.figure = style.new_figure(style.WIDTH, height)
        self.panels: list[HeadPoints] = []
        for number, name in enumerate(panels):
            axes = style.add_axes(self.figure, 1.0 + number * (side + gap), floor, side, side)
            axes.set_xlim(self._limits)
            axes.set_ylim(self._limits)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(6, prune="both"))
            axes.set_title(f"{panel}: {name}", loc="left")
            axes.set_xlabel(xlabel)
            if number == 0:
                axes.set_ylabel(ylabel)
            else:
                axes.tick_params(labelleft=False)
            standing_out = {at: names[at] for at in _standing_out(self._value, number, named)}
            first = self._shown(0, number)
            shades = np.repeat(colors, len(heads), 0)
            self.panels.append(HeadPoints(axes, first, shades, standing_out))
        right = 1.0 + len(panels) * (side + gap) - gap
        scale = style.add_axes(self.figure, right + 0.3, floor, 0.22, side)
        norm = BoundaryNorm(np.arange(len(layers) + 1) - 0.5, len(layers))
        colorbar = self.figure.colorbar(
            ScalarMappable(norm, ListedColormap(colors)), cax=scale, ticks=range(len(layers))
        )
        colorbar.ax.set_yticklabels([str(layer) for layer in layers])
        colorbar.ax.tick_params(which="both", length=0)
        colorbar.set_label("layer")
        colorbar.outline.set_visible(False)
        words = f"Both axes: {unit}. Bars: 95 % intervals. Grey: step {self.steps[0]}."
        if self._limits[0] > low or self._limits[1] < high:
            words += " What lies beyond the axes is drawn at their ends."
        style.footnote(self.figure, words, 1.0)
        self.changing: Sequence[Artist] = [
            artist for points in self.panels for artist in points.changing
        ]

    def show(self, index: int) -> None:
        """Bring the points to the step number `index` of `steps`."""
        for number, panel in enumerate(self.panels):
            panel.show(self._shown(index, number), self._spread[index, number])

    def _shown(self, index: int, panel: int) -> Float[np.ndarray, "head axis"]:
        return np.clip(self._value[index, panel], *self._limits)


def _standing_out(
    value: Float[np.ndarray, "step panel head axis"], panel: int, most: int
) -> list[int]:
    """The heads of a panel with the largest values at any step, leaving out what is small in all.

    They are the same for every step, so that names do not come and go in a film.
    """
    largest = np.nan_to_num(np.abs(value)).max(axis=(0, 3))
    order = np.argsort(-largest[panel], kind="stable")[:most]
    return [int(head) for head in order if largest[panel, head] > _SMALL * largest.max()]


def _points(
    x: Pivot, y: Pivot
) -> tuple[
    Float[np.ndarray, "step panel head axis"],
    Float[np.ndarray, "step panel head axis"],
]:
    """Values and half widths of their intervals; heads that share a key/value head share y."""
    shared = len(x.labels[2]) // len(y.labels[2])
    pairs = []
    for across, up in ((x.value, y.value), (x.error, y.error)):
        pair = np.stack([across, np.repeat(up, shared, axis=-1)], axis=-1)
        pairs.append(pair.reshape(*pair.shape[:2], -1, 2))
    return pairs[0], Z95 * np.nan_to_num(pairs[1])


class HeadPoints:
    """The points of one panel.

    Attributes:
        dots: one a head.
        intervals: along x of every head, then along y.
        names: of the heads that carry one.
        changing: the artists that `show` updates.
    """

    def __init__(
        self,
        axes: Axes,
        first: Float[np.ndarray, "head axis"],
        colors: Float[np.ndarray, "head rgba"],
        names: dict[int, str],
    ) -> None:
        self._axes = axes
        ends = axes.get_xlim()
        axes.plot(ends, ends, color=style.FAINT, linewidth=1, zorder=0)
        axes.axhline(0, color=style.MUTED, linewidth=0.8, zorder=0)
        axes.axvline(0, color=style.MUTED, linewidth=0.8, zorder=0)
        axes.scatter(first[:, 0], first[:, 1], s=16, color=style.FAINT, zorder=1)
        self.intervals = LineCollection(
            [], colors=np.tile(colors, (2, 1)), linewidths=1, alpha=0.5, zorder=2
        )
        axes.add_collection(self.intervals, autolim=False)
        self.dots: PathCollection = axes.scatter(
            first[:, 0],
            first[:, 1],
            s=42,
            color=colors,
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
        )
        self.names: dict[int, Annotation] = {
            head: axes.annotate(
                name,
                (0, 0),
                xytext=(0, 0),
                textcoords="offset points",
                size=style.SMALL,
                ha="center",
                va="center",
                zorder=4,
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )
            for head, name in names.items()
        }
        self.changing: Sequence[Artist] = (self.intervals, self.dots, *self.names.values())

    def show(
        self, points: Float[np.ndarray, "head axis"], spread: Float[np.ndarray, "head axis"]
    ) -> None:
        """Move points, intervals and names."""
        self.dots.set_offsets(points)
        both = []
        for axis in (0, 1):
            reach = spread * np.eye(2)[axis]
            both.append(np.stack([points - reach, points + reach], axis=1))
        self.intervals.set_segments(list(np.concatenate(both)))
        self._place_names(points)

    def _place_names(self, points: Float[np.ndarray, "head axis"]) -> None:
        """Put each name beside its point, where it covers fewest points and names before it."""
        per_unit = 72 * self._axes.get_window_extent().width / style.DPI
        per_unit /= np.ptp(self._axes.get_xlim())
        dots = points * per_unit
        frame = np.array(self._axes.get_xlim()) * per_unit
        taken: list[np.ndarray] = []
        for head, text in self.names.items():
            half = np.array([0.5 * style.EMS_PER_CHARACTER * len(text.get_text()) + 0.2, 0.65])
            half = half * style.SMALL
            centres = [dots[head] + _offset(side, half) for side in _SIDES]
            covered = [_covered(centre, half, dots, taken, frame) for centre in centres]
            centre = centres[int(np.argmin(covered))]
            text.xy = tuple(points[head])
            text.set_position(tuple(centre - dots[head]))
            taken.append(np.stack([centre, half]))


def _offset(side: tuple[int, int], half: Float[np.ndarray, " axis"]) -> Float[np.ndarray, " axis"]:
    return np.array(side) * (half + 3.0)


def _covered(
    centre: Float[np.ndarray, " axis"],
    half: Float[np.ndarray, " axis"],
    dots: Float[np.ndarray, "head axis"],
    taken: list[np.ndarray],
    frame: Float[np.ndarray, " end"],
) -> float:
    """How much a name there would cover; names count most, the edge of the axes above all."""
    over_dots = (np.abs(dots - centre) < half + 2.0).all(1).sum()
    over_names = sum(bool((np.abs(other[0] - centre) < other[1] + half).all()) for other in taken)
    outside = (centre - half < frame[0]).any() or (centre + half > frame[1]).any()
    return float(over_dots + 10 * over_names + 100 * outside)
