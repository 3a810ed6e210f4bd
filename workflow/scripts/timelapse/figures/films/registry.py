"""Every film, declared once. Rules, the config and the tests read this.

To add a film: an entry here, which names the table it reads and what draws it, and a test. A new
kind of drawing is a class in a module of its own beside this one, see `film.FilmDrawing`; it is
given the table, where that comes from, and by keyword the entry's `arguments`, its options and the
tables of its `extras` that were measured. Nothing heavy is imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from timelapse.errors import UserError
from timelapse.figures.options import (
    AttentionChangeOptions,
    CircuitOptions,
    FigureOptions,
    HeadRolesOptions,
    MetricWords,
    checked_options,
)

if TYPE_CHECKING:
    from timelapse.figures.figure_tables import InputTables
    from timelapse.figures.films.film import FilmDrawing


@dataclass(frozen=True)
class Film:
    """A picture of a task at every checkpoint of a run, and the film over them.

    In `title` and `arguments`, `{metric}` and `{unit}` stand for the name and unit of the task's
    metric.

    Attributes:
        name: of its file and of the folder of its frames.
        table: the table of a probe that it draws.
        title: what a frame shows, in a few words.
        drawing: import path of the class that draws it.
        arguments: of that class.
        options: what a study can set, in the section `name` of the config's `figures`.
        extras: further tables that it draws from where they were measured.
        is_graph: whether frames are also written as SVG and as JSON.
    """

    name: str
    table: str
    title: str
    drawing: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: type[FigureOptions] = FigureOptions
    extras: tuple[str, ...] = ()
    is_graph: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables that its jobs read, the win rates of the header included."""
        return (self.table, *self.extras, "win_rate")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The formats of its frames."""
        return ("png", "svg", "json") if self.is_graph else ("png",)

    def open(
        self, tables: "InputTables", task: str, options: Mapping[str, Any], metric: MetricWords
    ) -> "FilmDrawing":
        """An open figure whose scales hold every step of the tables.

        Raises:
            UserError: an unknown option, or a table that cannot be used.
        """
        settings = checked_options(self.options, options, self.name)
        extras = {name: tables.table(task, name) for name in self.extras if tables.has(task, name)}
        drawing: FilmDrawing = resolve_name(self.drawing)(
            tables.table(task, self.table),
            tables.source(task, self.table),
            **metric.fill(dict(self.arguments)),
            **settings,
            **extras,
        )
        return drawing


_FILMS = "timelapse.figures.films."
_RESTORED = "share of the clean {metric} restored"


def _patched(name: str, site: str, what: str, columns: str) -> Film:
    return Film(
        name=name,
        table="patching",
        title=f"Patching clean into corrupted: {what}",
        drawing=_FILMS + "heatmap:HeatmapDrawing",
        arguments={
            "rows": "layer",
            "columns": columns,
            "conditions": {"site": site},
            "label": f"{_RESTORED}\n(0 = corrupted, 1 = clean)",
            "panel": "corruption",
            "ceiling": 1.0,
        },
    )


def _out_against(name: str, site: str, what: str) -> Film:
    return Film(
        name=name,
        table="patching",
        title=f"Patching clean into corrupted: each head's output against its {what} alone",
        drawing=_FILMS + "scatter:ScatterDrawing",
        arguments={
            "x": {"site": "z"},
            "y": {"site": site},
            "xlabel": "the head's output patched",
            "ylabel": f"only its {what} patched",
            "unit": f"{_RESTORED} (0 = corrupted, 1 = clean)",
            "panel": "corruption",
        },
    )


_ALL = (
    Film(
        name="stream",
        table="logit_diff",
        title="{Metric} of the residual stream",
        drawing=_FILMS + "line_plots:LineDrawing",
        arguments={
            "conditions": {"decomposition": "stream"},
            "x": "component",
            "order": "layer",
            "xlabel": "place in the residual stream (mid: after attention, pre: before the layer)",
            "ylabel": "{metric} ({unit})",
        },
    ),
    Film(
        name="layer",
        table="logit_diff",
        title="{Metric} written by each layer",
        drawing=_FILMS + "line_plots:BarsDrawing",
        arguments={
            "conditions": {"decomposition": "layer"},
            "x": "component",
            "order": "layer",
            "xlabel": "component",
            "ylabel": "{metric} ({unit})",
            "groups": {"a": "attention", "m": "MLP"},
        },
    ),
    Film(
        name="head",
        table="logit_diff",
        title="{Metric} written by each head",
        drawing=_FILMS + "heatmap:HeatmapDrawing",
        arguments={
            "rows": "layer",
            "columns": "head",
            "conditions": {"decomposition": "head"},
            "label": "{metric} ({unit})",
        },
    ),
    _patched("patch_resid", "resid_pre", "residual stream before each layer", "position"),
    _patched("patch_attn", "attn_out", "output of each attention layer", "position"),
    _patched("patch_mlp", "mlp_out", "output of each MLP", "position"),
    _patched("patch_z", "z", "output of each head", "head"),
    _patched("patch_q", "q", "queries of each head", "head"),
    _patched("patch_k", "k", "keys of each head", "head"),
    _patched("patch_v", "v", "values of each head", "head"),
    _patched("patch_pattern", "pattern", "attention pattern of each head", "head"),
    _out_against("out_vs_value", "v", "values"),
    _out_against("out_vs_pattern", "pattern", "attention pattern"),
    Film(
        name="circuit",
        table="edges",
        title="Circuit: the strongest edges from input to logits",
        drawing=_FILMS + "circuit:CircuitDrawing",
        arguments={"score": "change of the {metric} ({unit}) when the edge is corrupted"},
        options=CircuitOptions,
        extras=("head_roles",),
        is_graph=True,
    ),
    Film(
        name="faithfulness",
        table="faithfulness",
        title="How much of the behaviour circuits keep",
        drawing=_FILMS + "size_curves:SizeCurvesDrawing",
        arguments={
            "x": "n_edges",
            "xlabel": "edges in the circuit",
            "ylabel": "share of the {metric}\n(0 = corrupted, 1 = whole model)",
            "panels": {
                "faithfulness": "faithfulness: what the circuit keeps",
                "completeness": "completeness: what is kept without its edges",
            },
            "interval": "faithfulness",
        },
    ),
    Film(
        name="attention",
        table="attention",
        title="Attention from the last position to each labelled one",
        drawing=_FILMS + "heatmap:HeatmapDrawing",
        arguments={
            "rows": "layer",
            "columns": "head",
            "conditions": {"query": "end"},
            "label": "attention from the last position (share)",
            "panel": "key",
            "wrap": 4,
        },
    ),
    Film(
        name="attention_change",
        table="attention_change",
        title="Heads whose attention from the last position has changed most",
        drawing=_FILMS + "head_lists:RankingDrawing",
        arguments={"ylabel": "share of the attention that has moved since the first step"},
        options=AttentionChangeOptions,
    ),
    Film(
        name="head_roles",
        table="head_roles",
        title="Which heads hold which role",
        drawing=_FILMS + "head_lists:RolesDrawing",
        options=HeadRolesOptions,
    ),
    Film(
        name="logit_lens",
        table="logit_lens",
        title="Logit lens: what each layer would predict",
        drawing=_FILMS + "line_plots:CurvesDrawing",
        arguments={
            "x": "place",
            "order": "layer",
            "xlabel": "place in the residual stream (pre: before the layer)",
            "series": ("token", {"answer": "answer", "foil": "foils (mean)"}),
            "panel": (
                "measure",
                {"probability": "probability", "rank": "rank in the vocabulary (1 = likeliest)"},
            ),
            "ranks": ("rank",),
        },
    ),
)

FILMS: Mapping[str, Film] = {film.name: film for film in _ALL}


def film_named(name: str) -> Film:
    """The film of this name.

    Raises:
        UserError: there is none.
    """
    if name not in FILMS:
        raise UserError(
            "config", "figures", f"no film is called {name!r}", f"Choose among {', '.join(FILMS)}"
        )
    return FILMS[name]
