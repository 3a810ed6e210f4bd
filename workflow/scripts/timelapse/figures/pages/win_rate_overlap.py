"""Win rate above, overlap with the first checkpoint's circuit below. Stage: figures."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from timelapse import tables
from timelapse.figures import style
from timelapse.figures.header import WinRates
from timelapse.figures.pages.compared import Compared
from timelapse.figures.pages.given import Given
from timelapse.figures.pages.lines import (
    End,
    draw_band,
    draw_line,
    draw_null,
    name_ends,
    room_for,
    step_axes,
)
from timelapse.figures.pages.plots import WinRateOverlap

PANEL, GAP, FLOOR, LEFT = 2.9, 0.3, 0.8, 1.2
ENDS = "overlap", "null: random halves of\nthe prompts of the same\ncheckpoints"


def win_rate_overlap_figure(plot: WinRateOverlap, given: Given) -> Figure:
    """Two panels over the same steps."""
    (task,) = given.tasks
    rates = WinRates.of(given.table(task, "win_rate", tables.WIN_RATE))
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
