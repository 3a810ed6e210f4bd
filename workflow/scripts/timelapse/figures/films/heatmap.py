"""A grid of coloured cells, one panel beside the other, on one scale that is symmetric about 0.

Stage: figures. Small grids carry their numbers; large ones mark the cells whose 95 % interval
includes 0.
"""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.colors import CenteredNorm
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

from timelapse.figures import style
from timelapse.figures.axes import name_ticks, tick_name
from timelapse.figures.figure_tables import pivot, where
from timelapse.figures.films.plots import Heatmap

NUMBERED = 8
"""The most rows and columns of a panel whose cells carry numbers."""


class HeatmapDrawing:
    """An open heatmap."""

    def __init__(self, plot: Heatmap, table: pa.Table, source: str | Path) -> None:
        chosen = where(table, plot.where, source)
        grid_axes = [plot.rows, plot.columns]
        if plot.panel is not None:
            grid_axes.insert(0, plot.panel)
        grid = pivot(chosen, grid_axes, source)
        self.steps = tuple(map(int, grid.steps))
        panels = grid.labels[0] if plot.panel is not None else (None,)
        rows, columns = grid.labels[-2:]
        shape = (len(self.steps), len(panels), len(rows), len(columns))
        self._value = grid.value.reshape(shape)
        self._spread = style.Z95 * np.nan_to_num(grid.error).reshape(shape)
        largest = float(np.nanmax(np.abs(self._value))) or 1.0
        bound = min(largest, plot.ceiling or largest)
        self._norm = CenteredNorm(0.0, bound)
        self._decimals = max(0, 2 - math.floor(math.log10(bound)))

        height, floor = 7.4, 0.95
        self.figure = style.new_figure(style.WIDTH, height)
        gap, bar = 0.35, 1.35 + 0.2 * len(plot.unit.splitlines())
        across = min(len(panels), plot.wrap or len(panels))
        wide = (style.WIDTH - 1.0 - bar - gap * (across - 1)) / across
        tall = height - floor - style.HEADER - 0.45
        down = math.ceil(len(panels) / across)
        step_down = (tall + 2 * gap) / down
        numbered = max(len(rows), len(columns)) <= NUMBERED and wide / len(columns) > 0.6
        self._images: list[AxesImage] = []
        self._texts: list[list[Text]] = []
        self._marks: list[Line2D] = []
        for number, name in enumerate(panels):
            line, place = divmod(number, across)
            left, bottom = 1.0 + place * (wide + gap), floor + (down - 1 - line) * step_down
            axes = style.add_axes(self.figure, left, bottom, wide, step_down - 2 * gap)
            name_ticks(axes, columns, wide)
            axes.set_yticks(range(len(rows)), [tick_name(row) for row in rows])
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            if number + across >= len(panels):
                axes.set_xlabel(plot.column_label or plot.columns)
            if place == 0:
                axes.set_ylabel(plot.row_label or plot.rows)
            else:
                axes.tick_params(labelleft=False)
            if name is not None:
                axes.set_title(f"{plot.panel}: {name}", loc="left")
            image = axes.imshow(
                self._value[0, number],
                cmap=style.DIVERGING,
                norm=self._norm,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
            )
            axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
            axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
            axes.grid(which="minor", color="white", linewidth=1.5)
            axes.tick_params(which="minor", length=0)
            self._images.append(image)
            self._texts.append(
                [
                    axes.text(column, row, "", ha="center", va="center", size=style.TICK)
                    for row in range(len(rows))
                    for column in range(len(columns))
                ]
                if numbered
                else []
            )
            (marks,) = axes.plot([], [], "x", color=style.MUTED, markersize=5, linewidth=1)
            self._marks.append(marks)
        scale = style.add_axes(self.figure, style.WIDTH - bar + 0.2, floor, 0.22, tall)
        style.raise_floor(scale, style.floor_of(axes) - floor)
        beyond = "both" if largest > bound else "neither"
        colorbar = self.figure.colorbar(self._images[0], cax=scale, extend=beyond)
        colorbar.set_label(plot.unit)
        colorbar.outline.set_visible(False)
        if np.nanmin(self._value) >= 0:
            scale.set_ylim(0, bound)
        self._note(numbered)

    def _note(self, numbered: bool) -> None:
        words = (
            "± half the width of the 95 % interval" if numbered else "×  95 % interval includes 0"
        )
        width, height = self.figure.get_size_inches()
        self.figure.text(
            1.0 / width, 0.25 / height, words, size=style.SMALL, color=style.MUTED, va="center"
        )

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        for number, image in enumerate(self._images):
            value, spread = self._value[index, number], self._spread[index, number]
            image.set_data(value)
            if texts := self._texts[number]:
                shade = self._norm(value)
                for text, at in zip(texts, np.ndindex(value.shape), strict=True):
                    known = np.isfinite(value[at])
                    text.set_text(_words(value[at], spread[at], self._decimals) if known else "")
                    text.set_color("white" if abs(shade[at] - 0.5) > 0.32 else style.INK)
            else:
                rows, columns = np.nonzero((np.abs(value) <= spread) & (spread > 0))
                self._marks[number].set_data(columns, rows)


def _words(value: float, spread: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}\n±{spread:.{decimals}f}".replace("-", "−")
