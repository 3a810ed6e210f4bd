"""Grids of coloured cells beside each other, on one scale that is symmetric about 0.

Small grids carry their numbers; large ones mark the cells whose 95 % interval includes 0.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm

from timelapse.figures import style
from timelapse.figures.cells import CellGrid, fitting_size, number
from timelapse.figures.figure_tables import Key, pivot, where
from timelapse.figures.style import name_ticks, tick_name
from timelapse.stats import Z95

NUMBERED = 8
"""The most rows and columns of a panel whose cells carry numbers."""

_HEIGHT, _LEFT, _FLOOR, _GAP = 7.4, 1.0, 0.95, 0.35
"""Inches: the figure's height, left of and below the panels, and between them."""


class HeatmapDrawing:
    """An open heatmap; see `film.FilmDrawing`.

    Attributes:
        grids: the cells of each panel.
    """

    def __init__(
        self,
        table: pa.Table,
        source: str | Path,
        *,
        rows: str,
        columns: str,
        label: str,
        conditions: Mapping[str, Key] | None = None,
        panel: str | None = None,
        ceiling: float | None = None,
        wrap: int | None = None,
    ) -> None:
        """
        Args:
            table: the probe's rows of all steps.
            source: where they come from, for messages.
            rows: the column that runs upwards, the lowest value at the bottom.
            columns: the column that runs to the right.
            label: what the colour stands for, with its unit.
            conditions: the rows of the table that are drawn.
            panel: the column that gets a panel for each value; one panel if None.
            ceiling: the largest |value| that colours tell apart, so that a few wild values (a
                share of next to nothing, say) leave the others visible; none if None.
            wrap: the most panels beside each other; all if None.

        Raises:
            UserError: the table has no such rows, or several for one place.
        """
        axes_of = [rows, columns] if panel is None else [panel, rows, columns]
        grid = pivot(where(table, conditions or {}, source), axes_of, source)
        self.steps = tuple(map(int, grid.steps))
        panels = grid.labels[0] if panel is not None else (None,)
        row_names, column_names = grid.labels[-2:]
        shape = (len(self.steps), len(panels), len(row_names), len(column_names))
        self._value = grid.value.reshape(shape)
        self._spread = Z95 * np.nan_to_num(grid.error).reshape(shape)
        largest = float(np.nanmax(np.abs(self._value))) or 1.0
        bound = min(largest, ceiling or largest)
        norm = CenteredNorm(0.0, bound)
        self._decimals = max(0, 2 - math.floor(math.log10(bound)))

        self.figure = style.new_figure(style.WIDTH, _HEIGHT)
        bar = 1.35 + 0.2 * len(label.splitlines())
        across = min(len(panels), wrap or len(panels))
        wide = (style.WIDTH - _LEFT - bar - _GAP * (across - 1)) / across
        tall = _HEIGHT - _FLOOR - style.HEADER - 0.45
        down = math.ceil(len(panels) / across)
        step_down = (tall + 2 * _GAP) / down
        fitting = fitting_size([f"+{bound:.{self._decimals}f}"], wide / len(column_names))
        numbered = max(shape[2:]) <= NUMBERED and wide / len(column_names) > 0.6
        self.grids: list[CellGrid] = []
        for place, name in enumerate(panels):
            line, at = divmod(place, across)
            bottom = _FLOOR + (down - 1 - line) * step_down
            axes = style.add_axes(
                self.figure, _LEFT + at * (wide + _GAP), bottom, wide, step_down - 2 * _GAP
            )
            size = min(style.TICK, fitting) if numbered else None
            self.grids.append(CellGrid(axes, shape[2:], norm, style.DIVERGING, size, gap=1.5))
            name_ticks(axes, column_names, wide)
            axes.set_yticks(range(len(row_names)), [tick_name(row) for row in row_names])
            if place + across >= len(panels):
                axes.set_xlabel(columns)
            if at == 0:
                axes.set_ylabel(rows)
            else:
                axes.tick_params(labelleft=False)
            if name is not None:
                axes.set_title(f"{panel}: {name}", loc="left")
        self._add_scale(axes, bar, tall, label, beyond=largest > bound)
        words = (
            "± half the width of the 95 % interval" if numbered else "○  95 % interval includes 0"
        )
        style.footnote(self.figure, words, _LEFT)
        self.changing: Sequence[Artist] = [
            artist for cells in self.grids for artist in cells.changing
        ]

    def _add_scale(self, last: Axes, bar: float, tall: float, label: str, beyond: bool) -> None:
        """The colour scale, from the floor of the last panel to the top of the first."""
        axes = style.add_axes(self.figure, style.WIDTH - bar + 0.2, _FLOOR, 0.22, tall)
        style.raise_floor(axes, style.floor_of(last) - _FLOOR)
        colorbar = self.figure.colorbar(
            self.grids[0].image, cax=axes, extend="both" if beyond else "neither"
        )
        colorbar.set_label(label)
        colorbar.outline.set_visible(False)
        if np.nanmin(self._value) >= 0:
            axes.set_ylim(bottom=0)

    def show(self, index: int) -> None:
        """Bring the cells to the step number `index` of `steps`."""
        for place, grid in enumerate(self.grids):
            value, spread = self._value[index, place], self._spread[index, place]
            if grid.texts:
                pairs = zip(value.flat, spread.flat, strict=True)
                grid.show(value, words=[self._words(*pair) for pair in pairs])
            else:
                grid.show(value, marked=(np.abs(value) <= spread) & (spread > 0))

    def _words(self, value: float, spread: float) -> str:
        if not np.isfinite(value):
            return ""
        return f"{number(value, self._decimals, '+')}\n±{number(spread, self._decimals)}"
