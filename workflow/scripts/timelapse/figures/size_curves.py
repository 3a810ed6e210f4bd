"""What circuits keep over their sizes, one line for each corruption, panels beside each other.

Stage: figures. The first checkpoint stays dashed behind.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from timelapse.figures import style
from timelapse.figures.plots import SizeCurves
from timelapse.figures.reading import first_method, pivot

HEIGHT, LEFT, FLOOR, GAP = 7.4, 1.0, 1.4, 0.75
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class SizeCurvesDrawing:
    """An open figure of curves over sizes."""

    def __init__(self, plot: SizeCurves, table: pa.Table, source: str | Path) -> None:
        table = first_method(table)
        axes_of = ("corruption", "fraction")
        sizes = pivot(table, axes_of, source, value=plot.x, error="ci_low")
        high = pivot(table, axes_of, source, value=plot.x, error="ci_high").error
        self.steps = tuple(map(int, sizes.steps))
        corruptions = sizes.labels[0]
        # A circuit of no edges keeps nothing, and has no place on a logarithmic axis.
        self._x = np.where(sizes.value > 0, sizes.value, np.nan)
        self._low, self._high = sizes.error, high
        self._value = {
            name: pivot(table, axes_of, source, value=name, error=plot.x).value
            for name in plot.panel
        }
        self._curves: list[tuple[Line2D, str, int]] = []
        self._bands: list[tuple[FillBetweenPolyCollection, int]] = []
        known = np.stack([*self._value.values(), self._low, self._high])
        bottom, top = style.limits(known, np.append(known, 1.0))
        limits = max(bottom, plot.reach[0]), min(top, plot.reach[1])
        self.figure = style.new_figure(style.WIDTH, HEIGHT)
        n = len(plot.panel)
        wide = (style.WIDTH - LEFT - style.MARGIN - GAP * (n - 1)) / n
        tall = HEIGHT - FLOOR - style.HEADER - 0.45
        for number, (name, label) in enumerate(plot.panel.items()):
            left = LEFT + number * (wide + GAP)
            axes = style.add_axes(self.figure, left, FLOOR, wide, tall)
            axes.set_ylim(*limits)
            axes.set_title(label, loc="left")
            _size_axis(axes, plot.xlabel, self._x)
            if number == 0:
                axes.set_ylabel("share of the logit difference\n(0 = corrupted, 1 = whole model)")
            for line, color in zip(range(len(corruptions)), style.SERIES, strict=False):
                self._add(axes, name, line, color, banded=name == plot.interval)
        handles = [
            Line2D([], [], color=color, marker=marker, linewidth=2.2, label=str(corruption))
            for corruption, color, marker in zip(corruptions, style.SERIES, MARKERS, strict=False)
        ]
        ghost = style.line_handle(f"step {self.steps[0]}", style.MUTED, 1.3, "--")
        self.figure.legend(
            handles=[*handles, ghost],
            loc="lower center",
            bbox_to_anchor=(0.5, 0.45 / HEIGHT),
            ncols=len(handles) + 1,
            borderaxespad=0.0,
            borderpad=0.0,
        )
        words = f"lines: corruptions · band: 95 % interval of the {plot.interval}"
        if limits[0] > bottom or limits[1] < top:
            words += " · what lies beyond the axes is not shown"
        style.footnote(self.figure, words, LEFT)

    def _add(self, axes: Axes, name: str, line: int, color: str, banded: bool) -> None:
        x, first = self._x[0, line], self._value[name][0, line]
        axes.plot(x, first, color=color, linewidth=1.3, linestyle="--", alpha=0.55)
        if banded:
            band = axes.fill_between(x, first, first, color=color, alpha=0.2, linewidth=0)
            self._bands.append((band, line))
        marker = MARKERS[line % len(MARKERS)]
        (curve,) = axes.plot(x, first, color=color, linewidth=2.2, marker=marker, markersize=5)
        self._curves.append((curve, name, line))

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        for curve, name, line in self._curves:
            curve.set_data(self._x[index, line], self._value[name][index, line])
        for band, line in self._bands:
            band.set_data(self._x[index, line], self._low[index, line], self._high[index, line])


def _size_axis(axes: Axes, label: str, sizes: np.ndarray) -> None:
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
