"""How much each part of the model has changed since the first step. Stage: figures."""

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from timelapse.figures import style
from timelapse.figures.pages.cells import draw_cells, name_columns, name_rows
from timelapse.figures.pages.compared import Compared
from timelapse.figures.pages.given import Given
from timelapse.figures.pages.plots import LayerChange

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
    norm = Normalize(0.0, float(np.nanmax(value)) or 1.0)
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
