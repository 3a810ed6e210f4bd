"""Lines over the steps: win rates, overlap of circuits, edges that flip, and scores of heads."""

from collections.abc import Mapping
from itertools import cycle
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables, pivot
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


class HeadLook(NamedTuple):
    """How the line of a head with a label looks."""

    color: str
    dashes: style.Dashes


HEAD_LOOKS = {
    "added": HeadLook(style.GREEN, "-"),
    "amplified": HeadLook(style.BLUE, "-"),
    "kept": HeadLook(style.INK, "-"),
    "weakened": HeadLook(style.AMBER, "-."),
    "lost": HeadLook(style.ORANGE, "--"),
}
"""From what is new to what is gone."""


def trajectories_figure(tables: InputTables, *, ylabel: str, named: int = 10) -> Figure:
    """A line for each head; those that ever score highest have bands and names at their ends.

    Args:
        tables: heads of one task.
        ylabel: what the score is, with its unit.
        named: how many heads are named, at least 1.

    Raises:
        UserError: the table cannot be used.
    """
    (task,) = tables.tasks
    table, source = tables.table(task, "heads"), tables.source(task, "heads")
    axes_of = ("layer", "head")
    scores = pivot(table, axes_of, source, value="score", error="ci_low")
    high = pivot(table, axes_of, source, value="score", error="ci_high").error
    layers, heads = scores.labels
    n = len(layers) * len(heads)
    value, low, high = (part.reshape(-1, n) for part in (scores.value, scores.error, high))
    names = [f"a{layer}.h{head}" for layer in layers for head in heads]
    last = table.filter(pc.equal(table["step"], int(scores.steps[-1])))
    labels = dict.fromkeys(names, "")
    for row in last.to_pylist():
        labels[f"a{row['layer']}.h{row['head']}"] = row["label"] or ""
    order = np.argsort(-np.nan_to_num(np.abs(value)).max(axis=0), kind="stable")
    labelled = [int(at) for at in order if labels[names[at]]]
    best = labelled[:named]
    words = {at: f"{names[at]} {labels[names[at]]}" for at in best}

    height, left, floor = 7.4, 1.0, 1.05
    figure = style.new_figure(style.WIDTH, height)
    wide = style.WIDTH - left - room_for(["a00.h00 amplified", *words.values()], style.SMALL)
    axes = step_axes(figure, left, floor, wide, height - floor - style.HEADER - 0.45)
    axes.set_ylim(*style.limits(low, high))
    axes.axhline(0, color=style.MUTED, linewidth=0.9)
    axes.set_ylabel(ylabel)
    for at in reversed(order.tolist()):
        look = HEAD_LOOKS.get(labels[names[at]])
        if look is None:
            axes.plot(scores.steps, value[:, at], color=style.FAINT, linewidth=0.9)
            continue
        if at not in best:
            axes.plot(scores.steps, value[:, at], color=look.color, linewidth=0.8, alpha=0.45)
            continue
        draw_band(axes, scores.steps, low[:, at], high[:, at], look.color)
        draw_line(axes, scores.steps, value[:, at], look.color, dashes=look.dashes, marker="")
    ends = [
        End(float(value[-1, at]), words[at], HEAD_LOOKS[labels[names[at]]].color) for at in best
    ]
    name_ends(axes, ends, style.SMALL)
    first = int(scores.steps[0])
    counts = {name: list(labels.values()).count(name) for name in HEAD_LOOKS}
    handles = [
        style.line_handle(f"{name} ({counts[name]})", look.color, 2.2, look.dashes)
        for name, look in HEAD_LOOKS.items()
        if counts[name]
    ]
    rest = sum(not label for label in labels.values())
    if rest:
        handles.append(style.line_handle(f"absent ({rest})", style.FAINT, 1.5))
    style.legend_above(axes, handles)
    style.footnote(
        figure,
        f"colour and dashes: the last step against step {first} · bands: 95 % intervals"
        f" · named: the {len(best)} that ever score highest",
        left,
    )
    return figure


def _win_rate_axis(axes: Axes) -> None:
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_ylabel("win rate")
