"""The heads with the largest values: lines over the steps, and a list in their order at each step.

Stage: figures. The other heads stay in sight as faint lines.
"""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.ticker import MaxNLocator

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.plots import Ranking
from timelapse.figures.reading import pivot

LISTED = 2.7


class RankingDrawing:
    """An open ranking."""

    def __init__(self, plot: Ranking, table: pa.Table, source: str | Path) -> None:
        if not 1 <= plot.top <= len(style.SERIES):
            raise UserError(
                "config",
                "figures.attention_change.top",
                f"{plot.top} heads cannot be told apart by colour",
                f"Ask for 1 to {len(style.SERIES)}",
            )
        grid = pivot(table, ("layer", "head"), source, error="ci_low")
        high = pivot(table, ("layer", "head"), source, error="ci_high").error
        self.steps = tuple(map(int, grid.steps))
        layers, heads = grid.labels
        self._names = np.array([f"a{layer}.h{head}" for layer in layers for head in heads])
        shape = (len(self.steps), len(self._names))
        self._value, self._low, self._high = (
            part.reshape(shape) for part in (grid.value, grid.error, high)
        )
        best = np.argsort(-np.nanmax(self._value, axis=0), kind="stable")[: plot.top]
        self._colors = dict(zip(best.tolist(), style.SERIES, strict=False))
        largest = float(np.nanmax(np.abs(self._value))) or 1.0
        self._decimals = min(max(0, 1 - math.floor(math.log10(largest))), 3)

        height = 7.2
        self.figure = style.new_figure(style.WIDTH, height)
        wide = style.WIDTH - 1.0 - LISTED - style.MARGIN
        tall = height - 0.85 - style.HEADER - 0.25
        axes = style.add_axes(self.figure, 1.0, 0.85, wide, tall)
        axes.set_ylim(*style.limits(self._low, self._high))
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        axes.set_xlabel("fine-tuning step")
        axes.set_ylabel(plot.ylabel)
        axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
        axes.axhline(0, color=style.MUTED, linewidth=0.9)
        for row in range(shape[1]):
            if row not in self._colors:
                axes.plot(self.steps, self._value[:, row], color=style.FAINT, linewidth=0.9)
        for row, color in self._colors.items():
            axes.fill_between(
                self.steps, self._low[:, row], self._high[:, row], color=color, alpha=0.2, lw=0
            )
            axes.plot(self.steps, self._value[:, row], color=color, linewidth=2.0, zorder=3)
        self._mark = axes.axvline(self.steps[0], color=style.INK, linewidth=1.1, linestyle=":")
        (self._dots,) = axes.plot([], [], "o", color=style.INK, markersize=4, zorder=4)
        left = (style.WIDTH - LISTED - style.MARGIN + 0.25) / style.WIDTH
        rows = [(0.85 + tall - 0.35 - 0.42 * number) / height for number in range(plot.top + 1)]
        self.figure.text(
            left, rows[0], "rank at this step (95 % interval)", size=style.SMALL, color=style.MUTED
        )
        self._list = [self.figure.text(left, at, "", size=style.TICK) for at in rows[1:]]
        if shape[1] > plot.top:
            self.figure.text(
                left,
                rows[-1] - 0.4 / height,
                f"colour: the {plot.top} that ever change most\ngrey: the others",
                size=style.SMALL,
                color=style.MUTED,
                va="top",
            )

    def show(self, index: int) -> None:
        """See `Drawing.show`."""
        value, low, high = self._value[index], self._low[index], self._high[index]
        step = self.steps[index]
        self._mark.set_xdata([step, step])
        colored = list(self._colors)
        self._dots.set_data([step] * len(colored), value[colored])
        ranked = np.argsort(-np.nan_to_num(value), kind="stable")
        for place, (text, row) in enumerate(zip(self._list, ranked, strict=False), start=1):
            middle, *ends = (f"{part[row]:.{self._decimals}f}" for part in (value, low, high))
            text.set_text(f"{place}  {self._names[row]}  {middle}  ({'–'.join(ends)})")
            text.set_color(self._colors.get(int(row), style.MUTED))
