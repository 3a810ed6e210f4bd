"""What each head of one end of the run does in the other end, layer by head. Stage: figures."""

import re

import numpy as np
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import Given
from timelapse.figures.overviews.cells import draw_cells, name_columns, name_rows
from timelapse.figures.overviews.comparison_table import Compared
from timelapse.figures.overviews.plots import Transplant
from timelapse.files.parquet import REBUILD

LEFT, FLOOR, OVER, GAP, SCALE = 1.0, 1.15, 0.5, 0.6, 1.6
_HEAD = re.compile(r"a(\d+)\.h(\d+)")


def transplant_figure(plot: Transplant, given: Given) -> Figure:
    """Two grids on one scale: the last checkpoint's heads in the first, and the other way round.

    Raises:
        UserError: a measure is not one of a head.
    """
    (task,) = given.tasks
    compared = Compared(given, task)
    names = compared.named(plot.prefix)
    found = [_HEAD.fullmatch(name) for name in names]
    heads = [(int(match[1]), int(match[2])) for match in found if match is not None]
    if len(heads) < len(names):
        wrong = next(name for name, match in zip(names, found, strict=True) if match is None)
        raise UserError(compared.source, "measure", f"{plot.prefix}{wrong} is no head's", REBUILD)
    first, last = compared.steps[0], compared.steps[-1]
    panels = {
        f"host: step {first} · donor: step {last}": (first, last),
        f"host: step {last} · donor: step {first}": (last, first),
    }
    size = (len(panels), 1 + max(layer for layer, _ in heads), 1 + max(head for _, head in heads))
    value, low, high = np.full((3, *size), np.nan)
    for number, pair in enumerate(panels.values()):
        for name, (layer, head) in zip(names, heads, strict=True):
            at = number, layer, head
            value[at], low[at], high[at] = compared.at(plot.prefix + name, pair)
    tall = min(max(0.5 * size[1], 3.2), 6.5)
    height = style.HEADER + OVER + tall + FLOOR
    figure = style.new_figure(style.WIDTH, height)
    wide = (style.WIDTH - LEFT - SCALE - GAP) / 2
    largest = float(np.nan_to_num(np.abs(value)).max())
    bound = min(largest, 1.0) or 1.0
    norm = CenteredNorm(0.0, bound)
    for number, words in enumerate(panels):
        axes = style.add_axes(figure, LEFT + number * (wide + GAP), FLOOR, wide, tall)
        doubtful = (low[number] <= 0) & (high[number] >= 0)
        image = draw_cells(axes, value[number], norm, style.DIVERGING, doubtful)
        name_columns(axes, list(range(size[2])), wide)
        name_rows(axes, list(range(size[1])))
        axes.set_xlabel("head")
        if number == 0:
            axes.set_ylabel("layer")
        axes.set_title(words, loc="left")
    scale = style.add_axes(figure, style.WIDTH - SCALE + 0.25, FLOOR, 0.22, tall)
    beyond = "both" if largest > bound else "neither"
    colorbar = figure.colorbar(image, cax=scale, extend=beyond)
    colorbar.set_label(plot.unit)
    colorbar.outline.set_visible(False)
    style.footnote(
        figure,
        "○  95 % interval includes 0",
        LEFT,
    )
    return figure
