"""Circuits of other tasks on a task's prompts, and what they have in common."""

import math
from collections.abc import Mapping
from itertools import combinations, cycle

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.overviews.comparison_table import ComparisonSeries, ComparisonTable
from timelapse.figures.overviews.lines import draw_band, draw_line, draw_null, step_axes

CROSS, OWN = "cross_task_faithfulness", "cross_faithfulness"
PANEL, LEFT, FLOOR, OVER, GAP, DOWN, ACROSS = 3.9, 0.95, 1.5, 0.45, 0.8, 1.3, 3
"""Inches: height of a panel, around all, between columns and rows; and most panels in a row."""


def cross_task_figure(tables: InputTables, *, overlap: str, overlap_label: str) -> Figure:
    """A panel for each task on whose prompts circuits are run, and one for their overlap.

    Args:
        tables: comparison of every task.
        overlap: the measure of the overlap.
        overlap_label: what it is.

    Raises:
        UserError: a table cannot be used or lacks a measure.
    """
    compared = {task: ComparisonTable(tables, task) for task in tables.tasks}
    colors = dict(zip(compared, cycle(style.SERIES), strict=False))
    n_panels = len(compared) + 1
    across, down = min(n_panels, ACROSS), math.ceil(n_panels / ACROSS)
    wide = (style.WIDTH - LEFT - style.MARGIN - (across - 1) * GAP) / across
    height = style.HEADER + OVER + down * PANEL + (down - 1) * DOWN + FLOOR
    figure = style.new_figure(style.WIDTH, height)
    panels = []
    for number in range(n_panels):
        row, place = divmod(number, across)
        bottom = FLOOR + (down - 1 - row) * (PANEL + DOWN)
        panels.append(step_axes(figure, LEFT + place * (wide + GAP), bottom, wide, PANEL))
    drawn = [
        series
        for axes, table in zip(panels, compared.values(), strict=False)
        for series in _draw_faithfulness(axes, table, colors)
    ]
    limits = style.limits(
        np.concatenate([series.low for series in drawn]),
        np.concatenate([[1.0], *(series.high for series in drawn)]),
    )
    for axes in panels[:-1]:
        axes.set_ylim(*limits)
    panels[0].set_ylabel("faithfulness (0: corrupted, 1: whole model)")
    panels[-1].set_ylabel(overlap_label)
    _draw_overlap(panels[-1], overlap, compared)
    _legends(figure, colors, next(iter(compared.values())).steps[0])
    return figure


def _draw_faithfulness(
    axes: Axes, host: ComparisonTable, colors: Mapping[str, str]
) -> list[ComparisonSeries]:
    """The circuits of other tasks on this task's prompts, and its own in grey."""
    axes.set_title(f"on prompts of {host.task}", loc="left")
    axes.axhline(0, color=style.MUTED, linewidth=0.9)
    own = host.at_same_step(OWN, host.task)
    draw_line(axes, own.steps, own.value, style.GHOST, width=1.6, marker="")
    draw_null(axes, own.steps, own.null)
    drawn = [own]
    for other in colors:
        if other != host.task:
            now, first = host.at_same_step(CROSS, other), host.from_first(CROSS, other)
            draw_band(axes, first.steps, first.low, first.high, colors[other])
            draw_line(
                axes, first.steps, first.value, colors[other], width=1.6, dashes="--", marker=""
            )
            draw_band(axes, now.steps, now.low, now.high, colors[other])
            draw_line(axes, now.steps, now.value, colors[other])
            drawn += [now, first]
    return drawn


def _draw_overlap(axes: Axes, measure: str, compared: Mapping[str, ComparisonTable]) -> None:
    """A line for every two tasks."""
    axes.set_title("what the circuits share", loc="left")
    pairs = list(combinations(compared, 2))
    colors = [style.INK] if len(pairs) == 1 else style.SERIES
    drawn, handles = [], []
    for (a, b), color in zip(pairs, cycle(colors), strict=False):
        series = compared[b].at_same_step(measure, a)
        draw_band(axes, series.steps, series.low, series.high, color)
        draw_line(axes, series.steps, series.value, color)
        draw_null(axes, series.steps, series.null, color)
        drawn.append(series.low)
        handles.append(style.line_handle(f"{a} and {b}", color, 2.2))
    axes.set_ylim(*style.limits(np.concatenate(drawn), np.ones(1), pad=0.03))
    axes.legend(handles=handles, loc="best", fontsize=style.SMALL)


def _legends(figure: Figure, colors: Mapping[str, str], first: int) -> None:
    height = figure.get_size_inches()[1]
    rows: list[list[Artist]] = [
        [
            entry
            for task, color in colors.items()
            for entry in (
                style.line_handle(f"circuit of {task}", color, 2.2),
                style.line_handle(f"that of step {first}", color, 1.6, "--"),
            )
        ],
        [
            style.line_handle("the task's own circuit of the same step", style.GHOST, 1.6),
            style.line_handle(
                "null: random halves of the prompts of the same checkpoint", style.MUTED, 1.4, ":"
            ),
        ],
    ]
    for line, handles in enumerate(rows):
        figure.add_artist(
            figure.legend(
                handles=handles,
                loc="lower center",
                bbox_to_anchor=(0.5, (0.5 - 0.32 * line) / height),
                ncols=len(handles),
                fontsize=style.SMALL,
                borderpad=0.0,
                borderaxespad=0.0,
            )
        )
