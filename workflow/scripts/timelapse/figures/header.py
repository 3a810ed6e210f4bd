"""The head of every frame: what is shown, where it comes from, and how far training has come.

At the right a small timeline of the win rate marks the frame's checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text

from timelapse.errors import UserError
from timelapse.figures import style

TIMELINE = 2.6


@dataclass(frozen=True)
class WinRateSeries:
    """Win rates of one run on one task: fractions with their Wilson 95 % interval."""

    steps: Int[np.ndarray, " step"]
    rate: Float[np.ndarray, " step"]
    low: Float[np.ndarray, " step"]
    high: Float[np.ndarray, " step"]

    @classmethod
    def of(cls, table: pa.Table) -> "WinRateSeries":
        """Take them from a win_rate table, in the order of the steps."""
        table = table.sort_by("step")
        names = ("step", "win_rate", "ci_low", "ci_high")
        return cls(*(table[name].to_numpy() for name in names))

    def check_steps(self, steps: Sequence[int], source: str | Path) -> None:
        """Check that the win rate of every step is known.

        Raises:
            UserError: it was not measured at one of them.
        """
        missing = sorted(set(steps) - set(self.steps.tolist()))
        if missing:
            raise UserError(
                source, "step", f"no win rate of step {missing[0]}", "Measure it at every step"
            )


def percent(fraction: float | np.floating) -> str:
    """A stored fraction in whole percent; halves are rounded as if it had no float32 error."""
    return f"{100 * round(float(fraction), 6):.0f}"


def write_heading(figure: Figure, title: str, caption: str, room: float) -> Text:
    """Write both at the upper left, at most `room` inches wide; returns the caption."""
    width, height = figure.get_size_inches()
    left = style.MARGIN / width
    heading = figure.text(
        left, 1 - 0.42 / height, title, size=style.TITLE, weight="bold", va="center"
    )
    below = figure.text(left, 1 - 0.76 / height, caption, size=style.CAPTION, va="center")
    style.fit(heading, room)
    style.fit(below, room)
    return below


class Header:
    """Title, caption and timeline of a figure; `show` moves it to another step.

    Attributes:
        changing: the artists that `show` updates.
    """

    def __init__(
        self, figure: Figure, title: str, names: Sequence[str], rates: WinRateSeries
    ) -> None:
        """
        Args:
            figure: the figure to draw on.
            title: what it shows.
            names: run and task, which the caption begins with.
            rates: the win rates of the run on the task.
        """
        self._names, self._rates = names, rates
        width, height = figure.get_size_inches()
        room = width - TIMELINE - 2 * style.MARGIN - 0.7
        longest = max((self._words(row) for row in range(len(rates.steps))), key=len)
        self._caption = write_heading(figure, title, longest, room)
        axes = style.add_axes(figure, width - style.MARGIN - TIMELINE, height - 0.72, TIMELINE, 0.5)
        axes.fill_between(rates.steps, rates.low, rates.high, color=style.FAINT, linewidth=0)
        axes.plot(rates.steps, rates.rate, color=style.MUTED, linewidth=1.2)
        (self._dot,) = axes.plot([], [], "o", color=style.INK, markersize=6, clip_on=False)
        first, last = int(rates.steps[0]), int(rates.steps[-1])
        margin = 0.03 * ((last - first) or 1)
        axes.set_xlim(first - margin, last + margin)
        axes.set_ylim(0, 1)
        for at, side in ((first, "left"), (last, "right")):
            place = 0.0 if side == "left" else 1.0
            axes.annotate(
                f"step {at}",
                (place, -0.1),
                xycoords="axes fraction",
                size=style.SMALL - 1,
                color=style.MUTED,
                ha=side,
                va="top",
            )
        axes.set_xticks([])
        axes.set_yticks([0, 1], ["0 %", "100 %"])
        axes.tick_params(labelsize=style.SMALL - 1, length=2, pad=2, colors=style.MUTED)
        axes.set_title("win rate", size=style.SMALL, color=style.MUTED, pad=1)
        self.changing: Sequence[Artist] = (self._caption, self._dot)

    def show(self, step: int) -> None:
        """Name the step and its win rate, and move the mark on the timeline."""
        row = int(np.searchsorted(self._rates.steps, step))
        self._caption.set_text(self._words(row))
        self._dot.set_data([step], [self._rates.rate[row]])

    def _words(self, row: int) -> str:
        rates = self._rates
        rate, low, high = (percent(part[row]) for part in (rates.rate, rates.low, rates.high))
        return " · ".join(
            (
                *self._names,
                f"step {rates.steps[row]}",
                f"win rate {rate} % (95 % interval {low}–{high} %)",
            )
        )
