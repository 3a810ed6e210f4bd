"""Win rates of a run on all its tasks over the steps of fine-tuning. Stage: figures."""

from itertools import cycle

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from timelapse import tables
from timelapse.figures import style
from timelapse.figures.header import WinRates as Rates
from timelapse.figures.header import percent
from timelapse.figures.pages.given import Given
from timelapse.figures.pages.lines import (
    End,
    draw_band,
    draw_line,
    name_ends,
    room_for,
    step_axes,
)
from timelapse.figures.pages.plots import WinRates

HEIGHT = 6.6


def win_rate_figure(plot: WinRates, given: Given) -> Figure:
    """One line for each task, with its Wilson 95 % band."""
    rates = {task: Rates.of(given.table(task, "win_rate", tables.WIN_RATE)) for task in given.tasks}
    said = [
        f"{task}  {percent(rate.rate[0])} % → {percent(rate.rate[-1])} %"
        for task, rate in rates.items()
    ]
    figure = style.new_figure(style.WIDTH, HEIGHT)
    wide = style.WIDTH - 1.0 - room_for(said)
    axes = step_axes(figure, 1.0, 0.8, wide, HEIGHT - 0.8 - style.HEADER - 0.2)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_ylabel("win rate")
    ends = []
    for rate, words, color in zip(rates.values(), said, cycle(style.SERIES), strict=False):
        draw_band(axes, rate.steps, rate.low, rate.high, color)
        draw_line(axes, rate.steps, rate.rate, color)
        ends.append(End(float(rate.rate[-1]), words, color))
    name_ends(axes, ends)
    return figure
