"""How many edges circuits need over the steps, one panel for each corruption. Stage: figures."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from timelapse import tables
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import Given, first_method, pivot
from timelapse.figures.overviews.lines import (
    End,
    draw_band,
    draw_line,
    name_ends,
    room_for,
    step_axes,
)
from timelapse.figures.overviews.plots import CircuitSizes
from timelapse.files.parquet import REBUILD

PANEL, FLOOR, GAP, ACROSS = 3.7, 1.05, 0.85, 3
"""Inches: the height of a panel, below the lowest, between rows; and most panels in a row."""

DASHES: tuple[style.Dashes, ...] = ("--", "-", "-.", ":")


def circuit_sizes_figure(plot: CircuitSizes, given: Given) -> Figure:
    """One line for each share that a circuit is to keep, on a logarithmic axis.

    Raises:
        UserError: the table has none of the measures at some step.
    """
    (task,) = given.tasks
    source = given.source(task, "circuit_quality")
    table = first_method(given.table(task, "circuit_quality", tables.CIRCUIT_QUALITY))
    table = table.filter(pc.is_in(table["measure"], pa.array(list(plot.shares))))
    if not len(table):
        raise UserError(source, "measure", f"no row has measure = {plot.main}", REBUILD)
    axes_of = ("corruption", "measure")
    low = pivot(table, axes_of, source, error="ci_low")
    high = pivot(table, axes_of, source, error="ci_high")
    corruptions, measures = low.labels
    missing = [name for name in plot.shares if name not in measures]
    if missing:
        raise UserError(source, "measure", f"no row has measure = {missing[0]}", REBUILD)
    across = min(len(corruptions), ACROSS)
    down = math.ceil(len(corruptions) / across)
    height = style.HEADER + 0.5 + down * PANEL + (down - 1) * GAP + FLOOR
    figure = style.new_figure(style.WIDTH, height)
    aside = room_for(list(plot.shares.values()), style.SMALL)
    block = (style.WIDTH - 0.95) / across
    main_one = measures.index(plot.main)
    limits = _limits(low.value, low.error[..., main_one], high.error[..., main_one])
    for number, corruption in enumerate(corruptions):
        row, place = divmod(number, across)
        bottom = FLOOR + (down - 1 - row) * (PANEL + GAP)
        axes = step_axes(figure, 0.95 + place * block, bottom, block - aside, PANEL)
        axes.set_title(f"corruption: {corruption}", loc="left")
        axes.set_yscale("log")
        axes.set_ylim(*limits)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="y", which="minor", length=0)
        if place:
            axes.tick_params(labelleft=False)
        else:
            axes.set_ylabel("edges in the circuit")
        ends = []
        for (measure, words), dashes in zip(plot.shares.items(), DASHES, strict=False):
            at = number, measures.index(measure)
            value = low.value[:, *at]
            main = measure == plot.main
            color = style.BLUE if main else style.MUTED
            if main:
                draw_band(axes, low.steps, low.error[:, *at], high.error[:, *at], color)
            draw_line(
                axes,
                low.steps,
                value,
                color,
                width=2.6 if main else 1.3,
                dashes="-" if main else dashes,
                marker="o" if main else "",
            )
            known = value[np.isfinite(value)]
            ends.append(End(float(known[-1]) if len(known) else np.nan, words, color))
        name_ends(axes, ends, style.SMALL)
    style.footnote(
        figure,
        "share of the logit difference that is kept, at the line's end · pruned circuits on"
        " held-out prompts · gap: no circuit that was evaluated keeps so much",
        0.95,
    )
    return figure


def _limits(*parts: np.ndarray) -> tuple[float, float]:
    """Limits of a logarithmic axis that hold everything that is known."""
    known = [float(size) for part in parts for size in part[np.isfinite(part)]]
    return 0.8 * max(min(known, default=1.0), 0.5), 1.25 * max(known, default=10.0)
