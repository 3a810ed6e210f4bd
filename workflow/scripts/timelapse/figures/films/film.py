"""A figure over training: its tables are read once, then any step is drawn. Stage: figures."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from timelapse import tables
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.axes import Drawing
from timelapse.figures.figure_tables import read_tables
from timelapse.figures.films.circuit import CircuitDrawing
from timelapse.figures.films.head_lists import RankingDrawing, RolesDrawing
from timelapse.figures.films.heatmap import HeatmapDrawing
from timelapse.figures.films.line_plots import (
    BarsDrawing,
    CurvesDrawing,
    LineDrawing,
    SizeCurvesDrawing,
)
from timelapse.figures.films.plots import (
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
from timelapse.figures.films.registry import Kind, kind_named
from timelapse.figures.films.scatter import ScatterDrawing
from timelapse.figures.header import Header, WinRateSeries
from timelapse.figures.images import Frame, pixels


class Scene:
    """One kind of figure of one run on one task.

    Attributes:
        steps: the steps that can be drawn, ascending.
    """

    def __init__(
        self,
        kind: Kind,
        probe_tables: Sequence[Path],
        win_rate_tables: Sequence[Path],
        run: str,
        task: str,
        extra_tables: Mapping[str, Sequence[Path]],
    ) -> None:
        table = read_tables(probe_tables, kind.schema)
        extras = {
            name: read_tables(paths, kind.extras[name])
            for name, paths in extra_tables.items()
            if paths
        }
        rates = WinRateSeries.of(read_tables(win_rate_tables, tables.WIN_RATE))
        self._run, self._task = run, task
        self._source = Path(probe_tables[0]).parent
        with style.applied():
            self._drawing = open_drawing(kind.plot, table, self._source, extras)
            self._header = Header(
                self._drawing.figure,
                kind.title,
                (run, task),
                rates,
            )
        self.steps = self._drawing.steps
        rates.refuse_missing(self.steps, Path(win_rate_tables[0]).parent)

    def draw(self, step: int) -> Frame:
        """The picture of a step."""
        with style.applied():
            self._show(step)
            return pixels(self._drawing.figure)

    def write_svg(self, step: int, path: Path) -> None:
        """Write the picture of a step as SVG, free of dates and random ids."""
        with style.applied():
            self._show(step)
            self._drawing.figure.savefig(
                path, format="svg", metadata={"Date": None, "Creator": None}
            )

    def write_json(self, step: int, path: Path) -> None:
        """Write the circuits of a step as node-link JSON, which networkx reads.

        Raises:
            UserError: the figure does not show a graph.
        """
        if not isinstance(self._drawing, CircuitDrawing):
            raise UserError(
                path, "", "only a circuit can be written as a graph", "Ask for a .png or an .svg"
            )
        self._index(step)
        about = {"run": self._run, "task": self._task}
        document = self._drawing.selection.document(step, about, self._drawing.held)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _show(self, step: int) -> None:
        self._drawing.show(self._index(step))
        self._header.show(step)

    def _index(self, step: int) -> int:
        if step not in self.steps:
            raise UserError(
                self._source, "step", f"no table of step {step}", "Measure this checkpoint first"
            )
        return self.steps.index(step)


def open_scene(
    kind: str,
    probe_tables: Sequence[Path],
    win_rate_tables: Sequence[Path],
    run: str,
    task: str,
    options: Mapping[str, object] | None = None,
    extra_tables: Mapping[str, Sequence[Path]] | None = None,
) -> Scene:
    """Read everything that a kind of figure needs; scales are fixed over all given steps.

    Args:
        kind: a name of `kinds.KINDS`.
        probe_tables: the files of the kind's probe, one for each step.
        win_rate_tables: the win rates of the same steps.
        run: name of the run, for the caption.
        task: name of the task, for the caption.
        options: fields of the kind's plot to set, such as {"edges": 50}.
        extra_tables: the files of those of the kind's `extras` that were measured, by their name.

    Raises:
        UserError: an unknown kind or option, or a table that cannot be used.
    """
    chosen = kind_named(kind).with_options(options or {})
    return Scene(chosen, probe_tables, win_rate_tables, run, task, extra_tables or {})


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
