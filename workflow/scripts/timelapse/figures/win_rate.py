"""Win rates of a run on all its tasks over the steps of fine-tuning. Stage: figures."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from timelapse import tables
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.header import WinRates
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
        figure.text(
            style.MARGIN / style.WIDTH,
            1 - 0.42 / height,
            "Win rate over fine-tuning",
            size=style.TITLE,
            weight="bold",
            va="center",
        )
        figure.text(
            style.MARGIN / style.WIDTH,
            1 - 0.76 / height,
            f"{run} · share of prompts whose most likely next token is the answer"
            " · band: Wilson 95 % interval",
            size=style.CAPTION,
            va="center",
        )
        tall = height - 0.8 - style.HEADER - 0.2
        ends = np.array([rate.rate[-1] for rate in rates.values()])
        axes = style.add_axes(figure, 1.0, 0.8, style.WIDTH - 3.2, tall)
        for (task, rate), color, at in zip(
            rates.items(), _colors(len(rates)), _apart(ends, 0.055), strict=True
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
                f"{task}  {rate.rate[0]:.0%} → {rate.rate[-1]:.0%}".replace("%", " %"),
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


def _colors(n: int) -> list[str]:
    return [style.SERIES[number % len(style.SERIES)] for number in range(n)]


def _apart(places: np.ndarray, gap: float) -> np.ndarray:
    """Move labels at least `gap` away from each other, as little as a single sweep manages."""
    order = np.argsort(-places, kind="stable")
    moved = places.astype(float).copy()
    for above, below in pairwise(order):
        moved[below] = min(moved[below], moved[above] - gap)
    return moved
