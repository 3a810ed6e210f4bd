"""Values over named places: a line, bars, or several curves, each with its 95 % interval.

The first checkpoint stays in sight behind the one that is shown.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from timelapse.figures import style
from timelapse.figures.figure_tables import Key, Label, Pivot, pivot, where
from timelapse.figures.style import name_ticks
from timelapse.stats import Z95

_HEIGHT, _LEFT, _FLOOR, _GAP = 7.2, 1.0, 0.85, 0.95
"""Inches: the figure's height, left of and below the panels, and between them."""


class LineDrawing:
    """A line over named places, with its 95 % band; see `film.FilmDrawing`.

    Attributes:
        line: the values.
        band: their intervals.
    """

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        x: str,
        xlabel: str,
        ylabel: str,
        conditions: Mapping[str, Key] | None = None,
        order: str | None = None,
    ) -> None:
        """
        Args:
            table: the probe's rows of all steps.
            source: where they come from, for messages.
            x: the column whose labels go along the axis.
            xlabel: what the labels are.
            ylabel: what the value is, with its unit.
            conditions: the rows that are drawn.
            order: the column that sorts the labels; by appearance if None.

        Raises:
            UserError: the table has no such rows, or several for one place.
        """
        grid = pivot(where(table, conditions or {}, source), (x,), source, order=order)
        self.steps = tuple(map(int, grid.steps))
        self._value, self._spread = grid.value, _half_width(grid)
        self._x = np.arange(len(grid.labels[0]))
        self.figure, axes = _one_panel(grid.labels[0], xlabel, ylabel, side=0.5)
        axes.set_ylim(*style.limits(self._value - self._spread, self._value + self._spread))
        first = self._value[0]
        zero = axes.axhline(0, color=style.MUTED, linewidth=0.9)
        (before,) = axes.plot(
            self._x,
            first,
            color=style.GHOST,
            linewidth=1.6,
            marker="o",
            markersize=3.5,
            label=f"step {self.steps[0]}",
        )
        self.band = axes.fill_between(
            self._x, first, first, color=style.BLUE, alpha=0.25, linewidth=0, label="95 % interval"
        )
        (self.line,) = axes.plot(
            self._x,
            first,
            color=style.BLUE,
            linewidth=2.4,
            marker="o",
            markersize=6,
            label="this step",
        )
        style.legend_above(axes, [self.line, self.band, before])
        self.changing: Sequence[Artist] = (self.band, zero, before, self.line)

    def show(self, index: int) -> None:
        """Bring the line to the step number `index` of `steps`."""
        value, spread = self._value[index], self._spread[index]
        self.line.set_ydata(value)
        self.band.set_data(self._x, value - spread, value + spread)


class BarsDrawing:
    """A bar with its 95 % interval for each named place; see `film.FilmDrawing`.

    Attributes:
        bars: the values.
        intervals: the intervals, one segment a bar.
    """

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        x: str,
        xlabel: str,
        ylabel: str,
        conditions: Mapping[str, Key] | None = None,
        order: str | None = None,
        groups: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            table: the probe's rows of all steps.
            source: where they come from, for messages.
            x: the column whose labels go along the axis.
            xlabel: what the labels are.
            ylabel: what the value is, with its unit.
            conditions: the rows that are drawn.
            order: the column that sorts the labels; by appearance if None.
            groups: what the labels that begin with a certain letter are called in the legend.

        Raises:
            UserError: the table has no such rows, or several for one place.
        """
        grid = pivot(where(table, conditions or {}, source), (x,), source, order=order)
        self.steps = tuple(map(int, grid.steps))
        self._value, self._spread = np.nan_to_num(grid.value), _half_width(grid)
        labels = grid.labels[0]
        self._x = np.arange(len(labels))
        names = groups or {}
        palette = dict(zip(names, (style.GREEN, style.AMBER, style.PURPLE), strict=False))
        colors = [palette.get(str(label)[0], style.MUTED) for label in labels]
        self.figure, axes = _one_panel(labels, xlabel, ylabel, side=0.6)
        axes.set_ylim(*style.limits(self._value - self._spread, self._value + self._spread))
        first = self._value[0]
        before = axes.bar(self._x, first, width=0.84, facecolor="#e9e9e9", edgecolor=style.GHOST)
        self.bars = axes.bar(self._x, first, width=0.52, color=colors)
        self.intervals = LineCollection([], colors=style.INK, linewidths=1.6)
        axes.add_collection(self.intervals, autolim=False)
        zero = axes.axhline(0, color=style.MUTED, linewidth=0.9)
        handles = [Patch(color=palette[key], label=name) for key, name in names.items()]
        ghost = Patch(facecolor="#e9e9e9", edgecolor=style.GHOST, label=f"step {self.steps[0]}")
        whisker = style.line_handle("95 % interval", style.INK, 1.6)
        style.legend_above(axes, [*handles, ghost, whisker])
        self.changing: Sequence[Artist] = (*before, *self.bars, zero, self.intervals)

    def show(self, index: int) -> None:
        """Bring the bars to the step number `index` of `steps`."""
        value, spread = self._value[index], self._spread[index]
        for bar, tall in zip(self.bars, value, strict=True):
            bar.set_height(tall)
        ends = np.stack([value - spread, value + spread], axis=1)
        self.intervals.set_segments(list(np.stack([np.stack([self._x] * 2, 1), ends], axis=2)))


class CurvesDrawing:
    """Several lines with their 95 % bands, in panels of one measure; see `film.FilmDrawing`."""

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        x: str,
        order: str,
        xlabel: str,
        series: tuple[str, Mapping[str, str]],
        panel: tuple[str, Mapping[str, str]],
        ranks: tuple[str, ...] = (),
    ) -> None:
        """
        Args:
            table: the probe's rows of all steps.
            source: where they come from, for messages.
            x: the column whose labels go along the axis.
            order: the column that sorts the labels.
            xlabel: what the labels are.
            series: the column that tells lines apart, and what each is called in the legend.
            panel: the column of measures, and what each is, with its unit.
            ranks: the measures that are ranks: drawn on a logarithmic axis with 1 on top.

        Raises:
            UserError: the table has several rows for one place.
        """
        column, names = series
        measure, labels = panel
        grid = pivot(table, (measure, column, x), source, order=order)
        self.steps = tuple(map(int, grid.steps))
        measures, lines, places = grid.labels
        self._value, self._spread = grid.value, _half_width(grid)
        self._x = np.arange(len(places))
        self._curves: list[tuple[Line2D, FillBetweenPolyCollection, tuple[int, int]]] = []
        self.figure = style.new_figure(style.WIDTH, _HEIGHT)
        wide = (style.WIDTH - _LEFT - style.MARGIN - _GAP * (len(labels) - 1)) / len(labels)
        changing: list[Artist] = []
        for number, (name, label) in enumerate(labels.items()):
            at = measures.index(name)
            axes = _panel(self.figure, _LEFT + number * (wide + _GAP), wide)
            name_ticks(axes, places, wide)
            axes.set_xlim(-0.4, len(places) - 0.6)
            axes.set_xlabel(xlabel)
            axes.set_ylabel(label)
            value, spread = self._value[:, at], self._spread[:, at]
            if name in ranks:
                _rank_axis(axes, float(np.nanmax(value + spread)))
            else:
                axes.set_ylim(*style.limits(value - spread, value + spread))
            drawn = [(lines.index(key), names[key]) for key in names]
            changing += self._draw_panel(axes, at, drawn)
        self.changing: Sequence[Artist] = changing

    def _draw_panel(self, axes: Axes, at: int, series: list[tuple[int, str]]) -> list[Artist]:
        """Draw the lines of a measure; returns the artists that change."""
        bands: list[Artist] = []
        lines: list[Line2D] = []
        for (line, label), color in zip(series, style.SERIES, strict=False):
            first = self._value[0, at, line]
            (before,) = axes.plot(
                self._x, first, color=color, linewidth=1.3, linestyle="--", alpha=0.55
            )
            band = axes.fill_between(self._x, first, first, color=color, alpha=0.22, linewidth=0)
            (curve,) = axes.plot(
                self._x, first, color=color, linewidth=2.4, marker="o", markersize=5, label=label
            )
            self._curves.append((curve, band, (at, line)))
            bands.append(band)
            lines += [before, curve]
        ghost = style.line_handle(f"step {self.steps[0]}", style.MUTED, 1.3, "--")
        style.legend_above(axes, [*lines[1::2], ghost])
        return [*bands, *lines]

    def show(self, index: int) -> None:
        """Bring the lines to the step number `index` of `steps`."""
        for curve, band, (at, line) in self._curves:
            value, spread = self._value[index, at, line], self._spread[index, at, line]
            curve.set_ydata(value)
            band.set_data(self._x, value - spread, value + spread)


def _half_width(grid: Pivot) -> np.ndarray:
    """Half of the 95 % intervals of normal means; 0 where no error is known."""
    return Z95 * np.nan_to_num(grid.error)


def _panel(figure: Figure, left: float, wide: float) -> Axes:
    axes = style.add_axes(figure, left, _FLOOR, wide, _HEIGHT - _FLOOR - style.HEADER - 0.45)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
    return axes


def _one_panel(
    labels: Sequence[Label], xlabel: str, ylabel: str, side: float
) -> tuple[Figure, Axes]:
    """A figure with one panel over named places; `side` is the room at both ends, in places."""
    figure = style.new_figure(style.WIDTH, _HEIGHT)
    wide = style.WIDTH - _LEFT - style.MARGIN
    axes = _panel(figure, _LEFT, wide)
    name_ticks(axes, labels, wide)
    axes.set_xlim(-side, len(labels) - 1 + side)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure, axes


def _rank_axis(axes: Axes, largest: float) -> None:
    """1 at the top, the largest rank at the bottom, logarithmic."""
    axes.set_yscale("log")
    axes.set_ylim(1.25 * max(largest, 8.0), 0.8)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%d"))
    axes.yaxis.set_minor_locator(NullLocator())
