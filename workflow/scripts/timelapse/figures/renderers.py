"""How each plot is drawn. Stage: figures."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from timelapse.figures.bars import BarsDrawing
from timelapse.figures.curves import CurvesDrawing
from timelapse.figures.drawing import Drawing
from timelapse.figures.graph import CircuitDrawing
from timelapse.figures.heatmap import HeatmapDrawing
from timelapse.figures.line import LineDrawing
from timelapse.figures.plots import (
    Bars,
    Circuit,
    Curves,
    Heatmap,
    Line,
    Plot,
    Ranking,
    Roles,
    Scatter,
    SizeCurves,
)
from timelapse.figures.ranking import RankingDrawing
from timelapse.figures.roles import RolesDrawing
from timelapse.figures.scatter import ScatterDrawing
from timelapse.figures.size_curves import SizeCurvesDrawing

_RENDERERS: Mapping[type, Callable[..., Drawing]] = {
    Line: LineDrawing,
    Bars: BarsDrawing,
    Heatmap: HeatmapDrawing,
    Scatter: ScatterDrawing,
    Curves: CurvesDrawing,
    Ranking: RankingDrawing,
    Roles: RolesDrawing,
    Circuit: CircuitDrawing,
    SizeCurves: SizeCurvesDrawing,
}


def open_drawing(
    plot: Plot,
    table: pa.Table,
    source: str | Path,
    extras: Mapping[str, pa.Table] | None = None,
) -> Drawing:
    """Prepare a figure whose scales hold every step of `table`.

    Args:
        plot: what to draw.
        table: the probe's rows of all steps.
        source: where they come from, for messages.
        extras: rows of further tables, by their folder, for the plots that draw from them.

    Raises:
        UserError: the table has no such rows, or several for one place.
    """
    more = [extras] if extras else []
    return _RENDERERS[type(plot)](plot, table, source, *more)
