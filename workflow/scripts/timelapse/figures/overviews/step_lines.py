"""Lines over the steps: win rates, the overlap of circuits beside them, and edges that flip."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.header import WinRateSeries, percent
from timelapse.figures.overviews.comparison_table import ComparisonTable
from timelapse.figures.overviews.lines import (
    End,
    draw_band,
    draw_line,
    draw_null,
    name_ends,
    room_for,
    step_axes,
)

_FLIP_LOOKS: tuple[tuple[str, style.Dashes], ...] = (
    (style.INK, "-"),
    (style.BLUE, "--"),
    (style.ORANGE, "-."),
)


def win_rate_figure(tables: InputTables) -> Figure:
    """Win rates of all tasks: a line with its Wilson 95 % band for each.

    Args:
        tables: win_rate of every task.

    Raises:
        UserError: a table cannot be used.
    """
    rates = {task: WinRateSeries.of(tables.table(task, "win_rate")) for task in tables.tasks}
    names = [
        f"{task}  {percent(rate.rate[0])} % → {percent(rate.rate[-1])} %"
        for task, rate in rates.items()
    ]
    height, left, floor = 6.6, 1.0, 0.8
    figure = style.new_figure(style.WIDTH, height)
    wide = style.WIDTH - left - room_for(names)
    axes = step_axes(figure, left, floor, wide, height - floor - style.HEADER - 0.2)
    _win_rate_axis(axes)
    ends = []
    for rate, words, color in zip(rates.values(), names, cycle(style.SERIES), strict=False):
        draw_band(axes, rate.steps, rate.low, rate.high, color)
        draw_line(axes, rate.steps, rate.rate, color)
        ends.append(End(float(rate.rate[-1]), words, color))
    name_ends(axes, ends)
    return figure


def win_rate_overlap_figure(tables: InputTables, *, measure: str, label: str) -> Figure:
    """Win rate above, overlap with the first checkpoint's circuit below, over the same steps.

    Args:
        tables: win_rate and comparison of one task.
        measure: of the overlap.
        label: what it is.

    Raises:
        UserError: a table cannot be used or lacks the measure.
    """
    (task,) = tables.tasks
    rates = WinRateSeries.of(tables.table(task, "win_rate"))
    overlap = ComparisonTable(tables, task).since_first(measure)
    panel, gap, floor, left = 2.9, 0.3, 0.8, 1.2
    height = style.HEADER + 0.2 + 2 * panel + gap + floor
    figure = style.new_figure(style.WIDTH, height)
    null = "null: random halves of\nthe prompts of the same\ncheckpoints"
    wide = style.WIDTH - left - room_for(null.split("\n"), style.SMALL)
    above = step_axes(figure, left, floor + panel + gap, wide, panel, named=False)
    below = step_axes(figure, left, floor, wide, panel)
    draw_band(above, rates.steps, rates.low, rates.high, style.BLUE)
    draw_line(above, rates.steps, rates.rate, style.BLUE)
    _win_rate_axis(above)
    draw_band(below, overlap.steps, overlap.low, overlap.high, style.ORANGE)
    draw_line(below, overlap.steps, overlap.value, style.ORANGE)
    draw_null(below, overlap.steps, overlap.null)
    lowest = np.concatenate([overlap.low, overlap.null])
    below.set_ylim(*style.limits(lowest, np.ones(1), pad=0.03))
    below.set_ylabel(label)
    below.set_xlim(above.get_xlim())
    name_ends(above, [End(float(rates.rate[-1]), "win rate", style.BLUE)], style.SMALL)
    ends = [
        End(float(overlap.value[-1]), "overlap", style.ORANGE),
        End(float(overlap.null[-1]), null, style.MUTED),
    ]
    name_ends(below, ends, style.SMALL)
    return figure


def flips_figure(tables: InputTables, *, measures: Mapping[str, str]) -> Figure:
    """How many edges differ from the first step's circuit; dotted, what halves of one give.

    Args:
        tables: comparison of one task.
        measures: of the comparison, and what each is called; the first is the sum of the others.

    Raises:
        UserError: the table cannot be used or lacks a measure.
    """
    (task,) = tables.tasks
    comparison = ComparisonTable(tables, task)
    height, left, floor = 6.4, 1.0, 1.05
    figure = style.new_figure(style.WIDTH, height)
    wide = style.WIDTH - left - room_for(list(measures.values()), style.SMALL)
    axes = step_axes(figure, left, floor, wide, height - floor - style.HEADER - 0.2)
    ends = []
    for (name, words), (color, dashes) in zip(measures.items(), _FLIP_LOOKS, strict=False):
        series = comparison.since_first(name)
        draw_band(axes, series.steps, series.low, series.high, color)
        draw_line(axes, series.steps, series.value, color, dashes=dashes)
        draw_null(axes, series.steps, series.null, color)
        ends.append(End(float(series.value[-1]), words, color))
    axes.set_ylim(0, max(axes.get_ylim()[1], 1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("edges in only one of the two circuits")
    name_ends(axes, ends, style.SMALL)
    style.footnote(
        figure,
        "dotted: null, the same between random halves of the prompts of the same checkpoints",
        left,
    )
    return figure


def _win_rate_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_ylabel("win rate")
