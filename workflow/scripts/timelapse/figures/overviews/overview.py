"""An overview as a picture: what its entry draws, with title and caption."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.header import write_heading
from timelapse.figures.images import Frame, pixels
from timelapse.figures.options import LOGIT_DIFFERENCE, MetricWords
from timelapse.figures.overviews.registry import Overview


def overview_figure(
    overview: Overview,
    tables: InputTables,
    run: str,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    metric: MetricWords = LOGIT_DIFFERENCE,
) -> Figure:
    """A picture over a whole run as a figure.

    Args:
        overview: which.
        tables: its tables, of the picture's task or of all tasks.
        run: the run's name, for the caption.
        task: the task's, if it is a picture of one.
        options: of the overview, such as {"edges": 50}.
        metric: what the tasks' metric is called.

    Raises:
        UserError: an unknown option, or a table that cannot be used.
    """
    if not tables.tasks:
        raise UserError(
            "figures", overview.name, "no table was given to draw", "Name at least one table"
        )
    with style.applied():
        figure = overview.draw(tables, options or {}, metric)
        names = [run] if task is None else [run, task]
        caption = " · ".join([*names, metric.fill(overview.caption)])
        room = figure.get_size_inches()[0] - 2 * style.MARGIN
        write_heading(figure, metric.fill(overview.title), caption, room)
    return figure


def draw_overview(
    overview: Overview,
    tables: InputTables,
    run: str,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    metric: MetricWords = LOGIT_DIFFERENCE,
) -> Frame:
    """The picture of `overview_figure`, which has the same arguments, as pixels."""
    figure = overview_figure(overview, tables, run, task, options, metric)
    with style.applied():
        return pixels(figure)
