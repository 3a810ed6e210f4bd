"""Win rates of a run on all its tasks over the steps of fine-tuning. Stage: figures."""

from itertools import cycle

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from timelapse import tables
from timelapse.figures import style
from timelapse.figures.figure_tables import Given
from timelapse.figures.header import WinRateSeries, percent
from timelapse.figures.overviews.cells import draw_cells, name_columns, name_rows
from timelapse.figures.overviews.comparison_table import Compared
from timelapse.figures.overviews.lines import (
    End,
    draw_band,
    draw_line,
    draw_null,
    name_ends,
    room_for,
    step_axes,
)
from timelapse.figures.overviews.plots import Flips, LayerChange, WinRateOverlap, WinRates

HEIGHT = 6.6


def win_rate_figure(plot: WinRates, given: Given) -> Figure:
    """One line for each task, with its Wilson 95 % band."""
    rates = {
        task: WinRateSeries.of(given.table(task, "win_rate", tables.WIN_RATE))
        for task in given.tasks
    }
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


PANEL, GAP, FLOOR, LEFT = 2.9, 0.3, 0.8, 1.2
ENDS = "overlap", "null: random halves of\nthe prompts of the same\ncheckpoints"


def win_rate_overlap_figure(plot: WinRateOverlap, given: Given) -> Figure:
    """Two panels over the same steps."""
    (task,) = given.tasks
    rates = WinRateSeries.of(given.table(task, "win_rate", tables.WIN_RATE))
    overlap = Compared(given, task).since_first(plot.measure)
    height = style.HEADER + 0.2 + 2 * PANEL + GAP + FLOOR
    figure = style.new_figure(style.WIDTH, height)
    wide = style.WIDTH - LEFT - room_for(ENDS[1].split("\n"), style.SMALL)
    above = step_axes(figure, LEFT, FLOOR + PANEL + GAP, wide, PANEL, named=False)
    below = step_axes(figure, LEFT, FLOOR, wide, PANEL)
    draw_band(above, rates.steps, rates.low, rates.high, style.BLUE)
    draw_line(above, rates.steps, rates.rate, style.BLUE)
    above.set_ylim(0, 1)
    above.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    above.set_ylabel("win rate")
    draw_band(below, overlap.steps, overlap.low, overlap.high, style.ORANGE)
    draw_line(below, overlap.steps, overlap.value, style.ORANGE)
    draw_null(below, overlap.steps, overlap.null)
    lowest = np.concatenate([overlap.low, overlap.null])
    below.set_ylim(*style.limits(lowest, np.ones(1), pad=0.03))
    below.set_ylabel(plot.label)
    below.set_xlim(above.get_xlim())
    name_ends(above, [End(float(rates.rate[-1]), "win rate", style.BLUE)], style.SMALL)
    ends = [
        End(float(overlap.value[-1]), ENDS[0], style.ORANGE),
        End(float(overlap.null[-1]), ENDS[1], style.MUTED),
    ]
    name_ends(below, ends, style.SMALL)
    return figure


LEFT, FLOOR, SCALE, OVER = 1.0, 1.25, 1.4, 0.2


def layer_change_figure(plot: LayerChange, given: Given) -> Figure:
    """A row for each part, the first at the bottom; a ring marks what halves give too."""
    (task,) = given.tasks
    compared = Compared(given, task)
    parts = compared.named(plot.prefix)
    found = [compared.since_first(plot.prefix + part) for part in parts]
    value, low, null = (
        np.stack([getattr(series, name) for series in found]) for name in ("value", "low", "null")
    )
    tall = min(max(0.42 * len(parts), 3.4), 7.5)
    height = style.HEADER + OVER + tall + FLOOR
    figure = style.new_figure(style.WIDTH, height)
    wide = style.WIDTH - LEFT - SCALE
    axes = style.add_axes(figure, LEFT, FLOOR, wide, tall)
    norm = Normalize(0.0, float(np.nan_to_num(value).max()) or 1.0)
    doubtful = (low <= null) & (np.array(compared.steps) != compared.steps[0])
    image = draw_cells(axes, value, norm, style.AMOUNT, doubtful)
    name_rows(axes, list(parts))
    name_columns(axes, list(compared.steps), wide)
    axes.set_xlabel("fine-tuning step")
    axes.set_ylabel("part that reads the edges")
    scale = style.add_axes(figure, style.WIDTH - SCALE + 0.25, FLOOR, 0.22, tall)
    colorbar = figure.colorbar(image, cax=scale)
    colorbar.set_label(plot.unit)
    colorbar.outline.set_visible(False)
    style.footnote(
        figure,
        "a0: heads of layer 0, m0: its MLP · ○  95 % interval reaches the null: no more than"
        " between random halves of the prompts of one checkpoint",
        LEFT,
    )
    return figure


HEIGHT, LEFT, FLOOR = 6.4, 1.0, 1.05
LOOKS: tuple[tuple[str, style.Dashes], ...] = (
    (style.INK, "-"),
    (style.BLUE, "--"),
    (style.ORANGE, "-."),
)


def flips_figure(plot: Flips, given: Given) -> Figure:
    """A line for all of them and one for each part; dotted, what halves of a checkpoint give."""
    (task,) = given.tasks
    compared = Compared(given, task)
    figure = style.new_figure(style.WIDTH, HEIGHT)
    wide = style.WIDTH - LEFT - room_for(list(plot.measures.values()), style.SMALL)
    axes = step_axes(figure, LEFT, FLOOR, wide, HEIGHT - FLOOR - style.HEADER - 0.2)
    found = {name: compared.since_first(name) for name in plot.measures}
    ends = []
    for (name, words), (color, dashes) in zip(plot.measures.items(), LOOKS, strict=False):
        series = found[name]
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
        LEFT,
    )
    return figure
