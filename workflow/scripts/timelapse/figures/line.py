"""A line over named places, with its 95 % band; the first checkpoint stays in grey behind it.

Stage: figures.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from timelapse.figures import style
from timelapse.figures.drawing import name_ticks
from timelapse.figures.plots import Line
from timelapse.figures.reading import pivot, where


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
