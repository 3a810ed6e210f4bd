"""A bar with its 95 % interval for each named place; the first checkpoint stays behind as outline.

Stage: figures.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.collections import LineCollection
from matplotlib.patches import Patch

from timelapse.figures import style
from timelapse.figures.drawing import name_ticks
from timelapse.figures.plots import Bars
from timelapse.figures.reading import pivot, where


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
