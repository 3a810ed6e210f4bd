"""How each overview is drawn. Stage: figures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import Given
from timelapse.figures.header import write_heading
from timelapse.figures.images import Frame, pixels
from timelapse.figures.overviews import plots
from timelapse.figures.overviews.circuit_sizes import circuit_sizes_figure
from timelapse.figures.overviews.cross_task import cross_task_figure
from timelapse.figures.overviews.graphs import first_last_figure, shared_graph_figure
from timelapse.figures.overviews.matrices import step_matrices_figure
from timelapse.figures.overviews.registry import overview_named
from timelapse.figures.overviews.step_lines import (
    flips_figure,
    layer_change_figure,
    win_rate_figure,
    win_rate_overlap_figure,
)
from timelapse.figures.overviews.trajectories import trajectories_figure
from timelapse.figures.overviews.transplant import transplant_figure

RENDERERS: Mapping[type, Callable[[Any, Given], Figure]] = {
    plots.WinRates: win_rate_figure,
    plots.CircuitSizes: circuit_sizes_figure,
    plots.StepMatrices: step_matrices_figure,
    plots.CrossTask: cross_task_figure,
    plots.Trajectories: trajectories_figure,
    plots.WinRateOverlap: win_rate_overlap_figure,
    plots.LayerChange: layer_change_figure,
    plots.Transplant: transplant_figure,
    plots.Flips: flips_figure,
    plots.FirstLast: first_last_figure,
    plots.SharedGraph: shared_graph_figure,
}


def overview_figure(
    name: str,
    paths: Sequence[Path],
    run: str,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Figure:
    """A picture over a whole run; leaves `style.HEADER` inches at its top for title and caption.

    Args:
        name: of `overviews.OVERVIEWS`.
        paths: the files that the overview needs, see `Overview.inputs`.
        run: the run's name, for the caption.
        task: the task's, if it is a picture of one.
        options: fields of the overview's plot to set, such as {"edges": 50}.

    Raises:
        UserError: an unknown overview or option, or a table that cannot be used.
    """
    overview = overview_named(name).with_options(options or {})
    if not paths:
        raise UserError("figures", name, "no table was given to draw", "Name at least one table")
    with style.applied():
        figure = RENDERERS[type(overview.plot)](overview.plot, Given(paths))
        names = [run] if task is None else [run, task]
        room = figure.get_size_inches()[0] - 2 * style.MARGIN
        write_heading(figure, overview.title, " · ".join([*names, overview.caption]), room)
    return figure


def draw_overview(
    name: str,
    paths: Sequence[Path],
    run: str,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Frame:
    """The picture of `overview_figure`, which see."""
    figure = overview_figure(name, paths, run, task, options)
    with style.applied():
        return pixels(figure)
