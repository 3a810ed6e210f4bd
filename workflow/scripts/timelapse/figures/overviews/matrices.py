"""A measure of every two checkpoints as a grid of cells, the null beside it. Stage: figures."""

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from timelapse.figures import style
from timelapse.figures.figure_tables import Given
from timelapse.figures.overviews.cells import draw_cells, name_columns, name_rows
from timelapse.figures.overviews.comparison_table import Compared, Matrix
from timelapse.figures.overviews.plots import StepMatrices

LEFT, FLOOR, OVER, STRIP, AIR, GAP, SCALE = 1.0, 1.35, 0.5, 0.42, 0.12, 0.7, 1.3
"""Inches: around the panels, the strip of nulls, the air before it, between panels, the scale."""
BROADEST = 6.0


def step_matrices_figure(plot: StepMatrices, given: Given) -> Figure:
    """One grid for each measure; a ring marks the cells whose interval reaches the null."""
    (task,) = given.tasks
    compared = Compared(given, task)
    found = {name: compared.matrix(name, plot.symmetric) for name in plot.measures}
    n = len(plot.measures)
    around = LEFT + SCALE + n * (STRIP + AIR) + (n - 1) * GAP
    side = min((style.WIDTH - around) / n, BROADEST)
    width = around + n * side
    over = OVER if any(plot.measures.values()) else 0.1
    height = style.HEADER + over + side + FLOOR
    figure = style.new_figure(width, height)
    values = np.concatenate([part.ravel() for at in found.values() for part in (at.value, at.null)])
    known = values[np.isfinite(values)]
    norm = Normalize(min(known, default=0.0), max((1.0, *known)))
    for number, (name, words) in enumerate(plot.measures.items()):
        matrix = found[name]
        left = LEFT + number * (side + AIR + STRIP + GAP)
        axes = style.add_axes(figure, left, FLOOR, side, side)
        # The table has the circuit's step first; the rows are the second of each pair.
        image = draw_cells(axes, matrix.value.T, norm, style.SEQUENTIAL, _as_null(matrix).T)
        name_columns(axes, list(compared.steps), side)
        name_rows(axes, list(compared.steps))
        axes.set_xlabel(plot.columns)
        if number == 0:
            axes.set_ylabel(plot.rows)
        else:
            axes.tick_params(labelleft=False)
        axes.set_title(words, loc="left")
        strip = style.add_axes(figure, left + side + AIR, FLOOR, STRIP, side)
        own = np.diag(matrix.null)[:, None]
        draw_cells(strip, own, norm, style.SEQUENTIAL)
        strip.set_xticks([0], ["null"])
        strip.set_yticks([])
    scale = style.add_axes(figure, width - SCALE + 0.25, FLOOR, 0.22, side)
    colorbar = figure.colorbar(image, cax=scale)
    colorbar.set_label(plot.unit)
    colorbar.outline.set_visible(False)
    for line, words in enumerate((f"null: {plot.null}", f"○  {plot.mark}")):
        style.footnote(figure, words, LEFT, 0.5 - 0.25 * line)
    return figure


def _as_null(matrix: Matrix) -> np.ndarray:
    """Off the diagonal, where the interval reaches the null."""
    return (matrix.high >= matrix.null) & ~np.eye(len(matrix.value), dtype=bool)
