"""Win rates of a run on all its tasks over the steps of fine-tuning. Stage: figures."""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from timelapse import tables
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.header import WinRates, percent, write_heading
from timelapse.figures.pixels import Frame, pixels
from timelapse.figures.reading import read_tables


def draw_win_rates(win_rate_tables: Mapping[str, Sequence[Path]], run: str) -> Frame:
    """The picture of `win_rate_figure`."""
    with style.applied():
        return pixels(win_rate_figure(win_rate_tables, run))


def win_rate_figure(win_rate_tables: Mapping[str, Sequence[Path]], run: str) -> Figure:
    """One line for each task, with its Wilson 95 % band.

    Args:
        win_rate_tables: the win_rate files of each task, in the order of the legend.
        run: name of the run, for the title.

    Raises:
        UserError: a table that cannot be used, or no task at all.
    """
    if not win_rate_tables:
        raise UserError("config", "tasks", "no task to draw", "Evaluate at least one task")
    rates = {
        task: WinRates.of(read_tables(paths, tables.WIN_RATE))
        for task, paths in win_rate_tables.items()
    }
    with style.applied():
        height = 6.6
        figure = style.new_figure(style.WIDTH, height)
        about = "share of prompts whose most likely next token is the answer"
        write_heading(
            figure,
            "Win rate over fine-tuning",
            f"{run} · {about} · band: Wilson 95 % interval",
            style.WIDTH - 2 * style.MARGIN,
        )
        said = [
            f"{task}  {percent(rate.rate[0])} % → {percent(rate.rate[-1])} %"
            for task, rate in rates.items()
        ]
        aside = 0.4 + max(map(len, said)) * style.EMS_PER_CHARACTER * style.TICK / 72
        tall = height - 0.8 - style.HEADER - 0.2
        ends = np.array([rate.rate[-1] for rate in rates.values()])
        axes = style.add_axes(figure, 1.0, 0.8, style.WIDTH - 1.0 - aside, tall)
        for (task, rate), words, color, at in zip(
            rates.items(), said, cycle(style.SERIES), _apart(ends, 0.055), strict=False
        ):
            axes.fill_between(rate.steps, rate.low, rate.high, color=color, alpha=0.18, linewidth=0)
            axes.plot(
                rate.steps,
                rate.rate,
                color=color,
                linewidth=2.2,
                marker="o",
                markersize=4,
                label=task,
                clip_on=False,
                zorder=3,
            )
            axes.annotate(
                words,
                (1.015, at),
                xycoords=("axes fraction", "data"),
                color=color,
                va="center",
                annotation_clip=False,
            )
        axes.set_ylim(0, 1)
        axes.margins(x=0.01)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axes.set_xlabel("fine-tuning step")
        axes.set_ylabel("win rate")
        axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
    return figure


def _apart(places: np.ndarray, gap: float) -> np.ndarray:
    """Move labels at least `gap` away from each other: downwards, and up again from 0."""
    falling = np.argsort(-places, kind="stable")
    moved = places.astype(float).copy()
    for above, below in pairwise(falling):
        moved[below] = min(moved[below], moved[above] - gap)
    moved[falling[-1]] = max(moved[falling[-1]], 0.0)
    for below, above in pairwise(falling[::-1]):
        moved[above] = max(moved[above], moved[below] + gap)
    return moved
