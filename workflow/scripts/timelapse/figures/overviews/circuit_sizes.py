"""How many edges circuits need over the steps, one panel for each corruption."""

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables, first_method, pivot
from timelapse.figures.overviews.lines import (
    End,
    draw_band,
    draw_line,
    name_ends,
    room_for,
    step_axes,
)
from timelapse.files.parquet import REBUILD

PANEL, FLOOR, GAP, ACROSS = 3.7, 1.05, 0.85, 3
"""Inches: the height of a panel, below the lowest, between rows; and most panels in a row."""

DASHES: tuple[style.Dashes, ...] = ("--", "-", "-.", ":")


def circuit_sizes_figure(
    tables: InputTables, *, shares: Mapping[str, str], main: str, note: str
) -> Figure:
    """One line for each share that a circuit is to keep, on a logarithmic axis.

    Args:
        tables: circuit_quality of one task.
        shares: the measures of circuit quality, and what each is called at its line's end.
        main: the one that stands out.
        note: what is to be known to read the picture.

    Raises:
        UserError: the table has none of the measures at some step.
    """
    (task,) = tables.tasks
    source = tables.source(task, "circuit_quality")
    table = first_method(tables.table(task, "circuit_quality"))
    table = table.filter(pc.is_in(table["measure"], pa.array(list(shares))))
    if not len(table):
        raise UserError(source, "measure", f"no row has measure = {main}", REBUILD)
    axes_of = ("corruption", "measure")
    low = pivot(table, axes_of, source, error="ci_low")
    high = pivot(table, axes_of, source, error="ci_high")
    corruptions, measures = low.labels
    missing = [name for name in shares if name not in measures]
    if missing:
        raise UserError(source, "measure", f"no row has measure = {missing[0]}", REBUILD)
    across = min(len(corruptions), ACROSS)
    down = math.ceil(len(corruptions) / across)
    height = style.HEADER + 0.5 + down * PANEL + (down - 1) * GAP + FLOOR
    figure = style.new_figure(style.WIDTH, height)
    aside = room_for(list(shares.values()), style.SMALL)
    block = (style.WIDTH - 0.95) / across
    main_one = measures.index(main)
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
        for (measure, words), dashes in zip(shares.items(), DASHES, strict=False):
            at = number, measures.index(measure)
            value = low.value[:, *at]
            is_main = measure == main
            color = style.BLUE if is_main else style.MUTED
            if is_main:
                draw_band(axes, low.steps, low.error[:, *at], high.error[:, *at], color)
            draw_line(
                axes,
                low.steps,
                value,
                color,
                width=2.6 if is_main else 1.3,
                dashes="-" if is_main else dashes,
                marker="o" if is_main else "",
            )
            known = value[np.isfinite(value)]
            ends.append(End(float(known[-1]) if len(known) else np.nan, words, color))
        name_ends(axes, ends, style.SMALL)
    style.footnote(figure, note, 0.95)
    return figure


def _limits(*parts: np.ndarray) -> tuple[float, float]:
    """Limits of a logarithmic axis that hold everything that is known."""
    known = [float(size) for part in parts for size in part[np.isfinite(part)]]
    return 0.8 * max(min(known, default=1.0), 0.5), 1.25 * max(known, default=10.0)
