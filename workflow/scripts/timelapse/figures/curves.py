"""Lines over named places in panels beside each other; the first checkpoint stays dashed behind.

Stage: figures.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from timelapse.figures import style
from timelapse.figures.drawing import name_ticks
from timelapse.figures.plots import Curves
from timelapse.figures.reading import pivot


class CurvesDrawing:
    """An open figure of curves."""

    def __init__(self, plot: Curves, table: pa.Table, source: str | Path) -> None:
        column, names = plot.series
        measure, labels = plot.panel
        grid = pivot(table, (measure, column, plot.x), source, order=plot.order)
        self.steps = tuple(map(int, grid.steps))
        measures, series, places = grid.labels
        self._value = grid.value
        self._spread = style.Z95 * np.nan_to_num(grid.error)
        self._x = np.arange(len(places))
        self._curves: list[tuple[Line2D, FillBetweenPolyCollection, tuple[int, int]]] = []
        height, gap, floor = 7.2, 0.95, 0.85
        self.figure = style.new_figure(style.WIDTH, height)
        wide = (style.WIDTH - 1.0 - style.MARGIN - gap * (len(labels) - 1)) / len(labels)
        for number, (name, label) in enumerate(labels.items()):
            at = measures.index(name)
            axes = style.add_axes(
                self.figure,
                1.0 + number * (wide + gap),
                floor,
                wide,
                height - floor - style.HEADER - 0.45,
            )
            name_ticks(axes, places, wide)
            axes.set_xlim(-0.4, len(places) - 0.6)
            axes.set_xlabel(plot.xlabel)
            axes.set_ylabel(label)
            axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
            value, spread = self._value[:, at], self._spread[:, at]
            if name in plot.ranks:
                _rank_axis(axes, float(np.nanmax(value + spread)))
            else:
                axes.set_ylim(*style.limits(value - spread, value + spread))
            self._draw_panel(axes, at, [(series.index(key), names[key]) for key in names])

    def _draw_panel(self, axes: Axes, at: int, series: list[tuple[int, str]]) -> None:
        for (line, label), color in zip(series, style.SERIES, strict=False):
            first = self._value[0, at, line]
            axes.plot(self._x, first, color=color, linewidth=1.3, linestyle="--", alpha=0.55)
            band = axes.fill_between(self._x, first, first, color=color, alpha=0.22, linewidth=0)
            (curve,) = axes.plot(
                self._x, first, color=color, linewidth=2.4, marker="o", markersize=5, label=label
            )
            self._curves.append((curve, band, (at, line)))
        ghost = style.line_handle(f"step {self.steps[0]}", style.MUTED, 1.3, "--")
        curves = [curve for curve, _, (panel, _) in self._curves if panel == at]
        style.legend_above(axes, [*curves, ghost])

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        for curve, band, (at, line) in self._curves:
            value, spread = self._value[index, at, line], self._spread[index, at, line]
            curve.set_ydata(value)
            band.set_data(self._x, value - spread, value + spread)


def _rank_axis(axes: Axes, largest: float) -> None:
    """1 at the top, the largest rank at the bottom, logarithmic."""
    axes.set_yscale("log")
    axes.set_ylim(1.25 * max(largest, 8.0), 0.8)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%d"))
    axes.yaxis.set_minor_locator(NullLocator())
