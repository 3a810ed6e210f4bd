"""A film over training: its tables are read once, then any step is drawn.

What stays the same in all frames is drawn once, as an image; for a frame the changing artists are
drawn over a copy of it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.films.registry import Film
from timelapse.figures.header import Header, WinRateSeries
from timelapse.figures.images import Frame, agg_canvas, rendered, write_png
from timelapse.figures.options import LOGIT_DIFFERENCE, MetricWords


@runtime_checkable
class FilmDrawing(Protocol):
    """An open figure over the steps of one table, whose artists are updated in place.

    What `show` leaves must depend on the index alone, so that a picture is the same whether it is
    drawn by itself or within a film.

    Attributes:
        figure: the figure; everything but `changing` stays as it is when it is opened.
        steps: the steps that can be shown, ascending.
        changing: the artists that `show` updates. They are drawn over all others, by their zorder
            and in this order.
    """

    figure: Figure
    steps: tuple[int, ...]
    changing: Sequence[Artist]

    def show(self, index: int) -> None:
        """Bring the artists to the step number `index` of `steps`."""


class FilmRenderer:
    """The frames of one film of one run on one task; scales are fixed over all given steps.

    Attributes:
        drawing: the open figure.
        steps: the steps that can be drawn, ascending.
    """

    def __init__(
        self,
        film: Film,
        tables: InputTables,
        run: str,
        task: str,
        options: Mapping[str, Any] | None = None,
        metric: MetricWords = LOGIT_DIFFERENCE,
    ) -> None:
        """
        Args:
            film: which.
            tables: the film's table, its extra tables where they were measured, and win rates.
            run: name of the run, for the caption.
            task: name of the task.
            options: of the film, such as {"edges": 50}.
            metric: what the task's metric is called.

        Raises:
            UserError: an unknown option, or a table that cannot be used.
        """
        rates = WinRateSeries.of(tables.table(task, "win_rate"))
        self._run, self._task = run, task
        self._source = tables.source(task, film.table)
        with style.applied():
            self.drawing: FilmDrawing = film.open(tables, task, options or {}, metric)
            figure = self.drawing.figure
            self._header = Header(figure, metric.fill(film.title), (run, task), rates)
            self._changing = [*self.drawing.changing, *self._header.changing]
            for artist in self._changing:
                artist.set_animated(True)
            self._canvas = agg_canvas(figure)
            self._canvas.draw()
            self._background = self._canvas.copy_from_bbox(figure.bbox)
        self.steps = self.drawing.steps
        rates.check_steps(self.steps, tables.source(task, "win_rate"))

    def draw(self, step: int) -> Frame:
        """The picture of a step.

        Raises:
            UserError: there is no table of this step.
        """
        with style.applied():
            self.show(step)
            self._canvas.restore_region(self._background)
            renderer = self._canvas.get_renderer()
            for artist in sorted(self._changing, key=lambda artist: artist.get_zorder()):
                artist.draw(renderer)
            return rendered(self._canvas)

    def write_frame(self, step: int, path: Path, picture: Frame | None = None) -> None:
        """Write a step as a picture or, of a circuit, as a graph, whichever the suffix asks for.

        Args:
            step: one of `steps`.
            path: a .png, a .svg free of dates and random ids, or node-link .json for networkx.
            picture: the step's picture if it is drawn already.

        Raises:
            UserError: there is no table of this step, or the film does not show a graph.
        """
        match path.suffix:
            case ".png":
                write_png(self.draw(step) if picture is None else picture, path)
            case ".svg":
                with style.applied():
                    self.show(step)
                    no_date = {"Date": None, "Creator": None}
                    self.drawing.figure.savefig(path, format="svg", metadata=no_date)
            case ".json":
                document = self._graph(step, path)
                path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _graph(self, step: int, path: Path) -> dict[str, object]:
        document = getattr(self.drawing, "document", None)
        if document is None:
            raise UserError(
                path, "", "only a circuit can be written as a graph", "Ask for a .png or an .svg"
            )
        graph: dict[str, object] = document(
            self._index(step), {"run": self._run, "task": self._task}
        )
        return graph

    def show(self, step: int) -> None:
        """Bring the figure to a step."""
        self.drawing.show(self._index(step))
        self._header.show(step)

    def _index(self, step: int) -> int:
        if step not in self.steps:
            raise UserError(
                self._source, "step", f"no table of step {step}", "Measure this checkpoint first"
            )
        return self.steps.index(step)
