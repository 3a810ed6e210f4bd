"""What circuits keep over their sizes: a panel for each measure, a line for each corruption."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from timelapse.figures import style
from timelapse.figures.figure_tables import first_method, pivot

_HEIGHT, _LEFT, _FLOOR, _GAP = 7.4, 1.25, 1.4, 0.75
"""Inches: the figure's height, left of and below the panels, and between them."""
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class SizeCurvesDrawing:
    """Curves over sizes of circuits; see `film.FilmDrawing`.

    Attributes:
        curves: every line with its measure and the number of its corruption.
        bands: every band of the interval with the number of its corruption.
    """

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        x: str,
        xlabel: str,
        ylabel: str,
        panels: Mapping[str, str],
        interval: str,
        reach: tuple[float, float] = (-0.5, 1.6),
    ) -> None:
        """
        Args:
            table: the rows of all steps.
            source: where they come from, for messages.
            x: the column of sizes, on a logarithmic axis.
            xlabel: what the sizes are.
            ylabel: what all measures are, with their unit.
            panels: the columns of measures, and what each is.
            interval: the measure that has an interval, in ci_low and ci_high.
            reach: the lowest and highest value that the axes show.

        Raises:
            UserError: the table has several rows for one place.
        """
        table = first_method(table)
        axes_of = ("corruption", "fraction")
        sizes = pivot(table, axes_of, source, value=x, error="ci_low")
        self._low = sizes.error
        self._high = pivot(table, axes_of, source, value=x, error="ci_high").error
        self.steps = tuple(map(int, sizes.steps))
        corruptions = sizes.labels[0]
        # A circuit of no edges keeps nothing, and has no place on a logarithmic axis.
        self._x = np.where(sizes.value > 0, sizes.value, np.nan)
        self._value = {
            name: pivot(table, axes_of, source, value=name, error=x).value for name in panels
        }
        self.curves: list[tuple[Line2D, str, int]] = []
        self.bands: list[tuple[FillBetweenPolyCollection, int]] = []
        self._before: list[Line2D] = []
        known = np.stack([*self._value.values(), self._low, self._high])
        bottom, top = style.limits(known, np.append(known, 1.0))
        limits = max(bottom, reach[0]), min(top, reach[1])
        self.figure = style.new_figure(style.WIDTH, _HEIGHT)
        wide = (style.WIDTH - _LEFT - style.MARGIN - _GAP * (len(panels) - 1)) / len(panels)
        tall = _HEIGHT - _FLOOR - style.HEADER - 0.45
        for number, (name, label) in enumerate(panels.items()):
            left = _LEFT + number * (wide + _GAP)
            axes = style.add_axes(self.figure, left, _FLOOR, wide, tall)
            axes.set_ylim(*limits)
            axes.set_title(label, loc="left")
            _size_axis(axes, xlabel, self._x)
            if number == 0:
                axes.set_ylabel(ylabel)
            for line, color in zip(range(len(corruptions)), style.SERIES, strict=False):
                self._add(axes, name, line, color, banded=name == interval)
        handles = [
            Line2D([], [], color=color, marker=marker, linewidth=2.2, label=str(corruption))
            for corruption, color, marker in zip(corruptions, style.SERIES, _MARKERS, strict=False)
        ]
        ghost = style.line_handle(f"step {self.steps[0]}", style.MUTED, 1.3, "--")
        self.figure.legend(
            handles=[*handles, ghost],
            loc="lower center",
            bbox_to_anchor=(0.5, 0.45 / _HEIGHT),
            ncols=len(handles) + 1,
            borderaxespad=0.0,
            borderpad=0.0,
        )
        words = f"lines: corruptions · band: 95 % interval of the {interval}"
        if limits[0] > bottom or limits[1] < top:
            words += " · what lies beyond the axes is not shown"
        style.footnote(self.figure, words, _LEFT)
        self.changing: Sequence[Artist] = [
            *(band for band, _ in self.bands),
            *self._before,
            *(curve for curve, _, _ in self.curves),
        ]

    def _add(self, axes: Axes, name: str, line: int, color: str, banded: bool) -> None:
        x, first = self._x[0, line], self._value[name][0, line]
        self._before += axes.plot(x, first, color=color, linewidth=1.3, linestyle="--", alpha=0.55)
        if banded:
            band = axes.fill_between(x, first, first, color=color, alpha=0.2, linewidth=0)
            self.bands.append((band, line))
        marker = _MARKERS[line % len(_MARKERS)]
        (curve,) = axes.plot(x, first, color=color, linewidth=2.2, marker=marker, markersize=5)
        self.curves.append((curve, name, line))

    def show(self, index: int) -> None:
        """Bring the lines to the step number `index` of `steps`."""
        for curve, name, line in self.curves:
            curve.set_data(self._x[index, line], self._value[name][index, line])
        for band, line in self.bands:
            band.set_data(self._x[index, line], self._low[index, line], self._high[index, line])


def _size_axis(axes: Axes, label: str, sizes: Float[np.ndarray, "step corruption size"]) -> None:
    """A logarithmic axis that holds all sizes, with its decades named."""
    axes.set_xscale("log")
    low, high = 0.8 * float(np.nanmin(sizes)), 1.25 * float(np.nanmax(sizes))
    axes.set_xlim(low, high)
    decades = 10.0 ** np.arange(np.ceil(np.log10(low)), np.log10(high))
    axes.set_xticks(decades, [f"{decade:,.0f}" for decade in decades])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(label)
    axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
    for level in (0.0, 1.0):
        axes.axhline(level, color=style.MUTED, linewidth=0.9)
