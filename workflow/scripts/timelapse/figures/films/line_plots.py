"""A line over named places, with its 95 % band; the first checkpoint stays in grey behind it.

Stage: figures.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from timelapse.figures import style
from timelapse.figures.axes import name_ticks
from timelapse.figures.figure_tables import first_method, pivot, where
from timelapse.figures.films.plots import Bars, Curves, Line, SizeCurves


class LineDrawing:
    """An open line figure."""

    def __init__(self, plot: Line, table: pa.Table, source: str | Path) -> None:
        grid = pivot(where(table, plot.where, source), (plot.x,), source, order=plot.order)
        self.steps = tuple(map(int, grid.steps))
        self._value = grid.value
        self._spread = style.Z95 * np.nan_to_num(grid.error)
        labels = grid.labels[0]
        self._x = np.arange(len(labels))
        height = 7.2
        self.figure = style.new_figure(style.WIDTH, height)
        wide = style.WIDTH - 1.0 - style.MARGIN
        axes = style.add_axes(self.figure, 1.0, 0.85, wide, height - 0.85 - style.HEADER - 0.45)
        name_ticks(axes, labels, wide)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_ylim(*style.limits(self._value - self._spread, self._value + self._spread))
        axes.set_xlabel(plot.xlabel)
        axes.set_ylabel(plot.ylabel)
        axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
        axes.axhline(0, color=style.MUTED, linewidth=0.9)
        axes.plot(
            self._x,
            self._value[0],
            color=style.GHOST,
            linewidth=1.6,
            marker="o",
            markersize=3.5,
            label=f"step {self.steps[0]}",
        )
        self._band = axes.fill_between(
            self._x,
            self._value[0],
            self._value[0],
            color=style.BLUE,
            alpha=0.25,
            linewidth=0,
            label="95 % interval",
        )
        (self._line,) = axes.plot(
            self._x,
            self._value[0],
            color=style.BLUE,
            linewidth=2.4,
            marker="o",
            markersize=6,
            label="this step",
        )
        style.legend_above(axes, [self._line, self._band, axes.lines[1]])

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        value, spread = self._value[index], self._spread[index]
        self._line.set_ydata(value)
        self._band.set_data(self._x, value - spread, value + spread)


class BarsDrawing:
    """An open bar figure."""

    def __init__(self, plot: Bars, table: pa.Table, source: str | Path) -> None:
        grid = pivot(where(table, plot.where, source), (plot.x,), source, order=plot.order)
        self.steps = tuple(map(int, grid.steps))
        self._value = np.nan_to_num(grid.value)
        self._spread = style.Z95 * np.nan_to_num(grid.error)
        labels = grid.labels[0]
        self._x = np.arange(len(labels))
        palette = dict(zip(plot.groups, (style.GREEN, style.AMBER, style.PURPLE), strict=False))
        colors = [palette.get(str(label)[0], style.MUTED) for label in labels]
        height = 7.2
        self.figure = style.new_figure(style.WIDTH, height)
        wide = style.WIDTH - 1.0 - style.MARGIN
        axes = style.add_axes(self.figure, 1.0, 0.85, wide, height - 0.85 - style.HEADER - 0.45)
        name_ticks(axes, labels, wide)
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.set_ylim(*style.limits(self._value - self._spread, self._value + self._spread))
        axes.set_xlabel(plot.xlabel)
        axes.set_ylabel(plot.ylabel)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
        axes.bar(self._x, self._value[0], width=0.84, facecolor="#e9e9e9", edgecolor=style.GHOST)
        self._bars = axes.bar(self._x, self._value[0], width=0.52, color=colors)
        self._intervals = LineCollection([], colors=style.INK, linewidths=1.6)
        axes.add_collection(self._intervals, autolim=False)
        axes.axhline(0, color=style.MUTED, linewidth=0.9)
        handles = [Patch(color=palette[key], label=name) for key, name in plot.groups.items()]
        handles.append(
            Patch(facecolor="#e9e9e9", edgecolor=style.GHOST, label=f"step {self.steps[0]}")
        )
        whisker = style.line_handle("95 % interval", style.INK, 1.6)
        style.legend_above(axes, [*handles, whisker])

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        value, spread = self._value[index], self._spread[index]
        for bar, tall in zip(self._bars, value, strict=True):
            bar.set_height(tall)
        ends = np.stack([value - spread, value + spread], axis=1)
        self._intervals.set_segments(list(np.stack([np.stack([self._x] * 2, 1), ends], axis=2)))


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


HEIGHT, LEFT, FLOOR, GAP = 7.4, 1.25, 1.4, 0.75
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
