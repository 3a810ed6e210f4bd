"""How many edges came or went since the first step, in parts. Stage: figures."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from timelapse.figures import style
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
from timelapse.figures.pages.plots import Flips

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
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("edges in only one of the two circuits")
    name_ends(axes, ends, style.SMALL)
    style.footnote(
        figure,
        "dotted: null, the same between random halves of the prompts of the same checkpoints",
        LEFT,
    )
    return figure
