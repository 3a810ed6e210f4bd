"""The circuits of the first and the last step beside each other. Stage: figures."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from timelapse import tables
from timelapse.circuits.graph import Source, Target
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import Given
from timelapse.figures.graph.circuit_edges import Edge, Selection, in_words, read_scores, select
from timelapse.figures.graph.edge_style import (
    change_handles,
    palest_of,
    sign_handles,
    strength_of,
    strokes_of,
    width_handles,
    width_of,
)
from timelapse.figures.graph.head_roles import Held
from timelapse.figures.graph.page import GraphSheet
from timelapse.figures.graph.panel import Stroke
from timelapse.figures.header import WinRateSeries, percent
from timelapse.figures.overviews.plots import FirstLast, SharedGraph


def first_last_figure(plot: FirstLast, given: Given) -> Figure:
    """Two graphs with the same places and widths.

    What is lost stays as a ghost at the right, where what is added has its halo.
    """
    (task,) = given.tasks
    source = given.source(task, "edges")
    scores = read_scores(given.table(task, "edges", tables.EDGES), plot.method, source)
    selection = select(scores.of(plot.corruption, source), plot.edges)
    roles = (
        given.table(task, "head_roles", tables.HEAD_ROLES)
        if given.has(task, "head_roles")
        else None
    )
    held = Held.of(roles)
    rates = WinRateSeries.of(given.table(task, "win_rate", tables.WIN_RATE))
    rates.refuse_missing(selection.steps, given.source(task, "win_rate"))
    steps = dict.fromkeys((selection.steps[0], selection.steps[-1]))
    sheet = GraphSheet(selection.shape, len(steps), held.shown(selection.lit_nodes()))
    for panel, step in zip(sheet.panels, steps, strict=True):
        edges = selection.edges[step, plot.corruption]
        lost = selection.lost[step, plot.corruption]
        rate = percent(rates.rate[rates.steps.tolist().index(step)])
        title = f"step {step} · win rate {rate} %\n{len(edges)} of {plot.edges} edges"
        if step != selection.steps[0]:
            added = sum(edge.change == "added" for edge in edges)
            title += f" · {added} added, {len(lost)} lost"
        panel.show(
            title,
            strokes_of(edges, lost, selection.largest),
            selection.lit(edges),
            held.strongest(step),
        )
    sheet.explain(
        f"drawn: of the {plot.edges} strongest edges ({selection.method},"
        f" {in_words(plot.corruption)}) those on a path from input to logits · score: change of the"
        " logit difference (logits) when the edge is corrupted",
        [
            *sign_handles(),
            *width_handles(selection.largest),
            *change_handles("kept", "added", "lost"),
        ],
    )
    return sheet.figure


BOTH: tuple[str, style.Dashes] = (style.INK, "-")
ALONE: tuple[tuple[str, style.Dashes], ...] = ((style.GREEN, "-"), ("#AA4499", "--"))


def shared_graph_figure(plot: SharedGraph, given: Given) -> Figure:
    """Edges of one task only in its colour, those of both in black; width is the larger share.

    A task's scores are taken as shares of its largest, since logits of different tasks cannot be
    compared.

    Raises:
        UserError: a task was not evaluated, or the models of the tasks differ.
    """
    pair = plot.tasks or given.tasks[:2]
    found: dict[str, Selection] = {}
    for task in pair:
        source = given.source(task, "edges")
        scores = read_scores(given.table(task, "edges", tables.EDGES), plot.method, source)
        found[task] = select(scores.of(plot.corruption, source), plot.edges)
    one, other = found.values()
    if (one.shape, one.steps) != (other.shape, other.steps):
        raise UserError(
            given.source(pair[1], "edges"),
            "",
            f"it has other steps or another model than the edges of {pair[0]}",
            "Measure both tasks on the same checkpoints",
        )
    steps = dict.fromkeys((one.steps[0], one.steps[-1]))
    sheet = GraphSheet(one.shape, len(steps), {})
    for panel, step in zip(sheet.panels, steps, strict=True):
        edges = {task: found[task].edges[step, plot.corruption] for task in pair}
        strokes, counts = _strokes(edges, {task: found[task].largest for task in pair})
        lit = {name for task in pair for name in found[task].lit(edges[task])}
        names = (*(f"{task} only" for task in pair), "both")
        words = " · ".join(f"{n} {name}" for name, n in zip(names, counts, strict=True))
        panel.show(f"step {step}\n{words}", strokes, lit, {})
    sheet.explain(
        f"drawn: of the {plot.edges} strongest edges of each task ({one.method},"
        f" {in_words(plot.corruption)}) those on a path from input to logits · width: |score| as a"
        " share of the task's largest; of both tasks' shares the larger",
        [
            *(
                style.line_handle(f"{task} only", color, 3, dashes)
                for task, (color, dashes) in zip(pair, ALONE, strict=True)
            ),
            style.line_handle("both", BOTH[0], 3),
            *(
                style.line_handle(f"{100 * part:.0f} % of the largest", style.INK, width_of(part))
                for part in (0.1, 0.5, 1.0)
            ),
        ],
    )
    return sheet.figure


def _strokes(
    edges: Mapping[str, tuple[Edge, ...]], largest: Mapping[str, float]
) -> tuple[list[Stroke], tuple[int, int, int]]:
    """The strokes, those of both tasks and strong ones on top; and how many there are of each."""
    parts: dict[tuple[Source, Target], dict[str, float]] = {}
    for task, circuit in edges.items():
        for edge in circuit:
            found = parts.setdefault((edge.source, edge.target), {})
            found[task] = abs(edge.score) / largest[task]
    looks = dict(zip(edges, ALONE, strict=True))
    strokes = []
    rising = sorted(parts.items(), key=lambda item: (len(item[1]), max(item[1].values())))
    palest = palest_of(len(parts))
    for (source, target), shares in rising:
        color, dashes = BOTH if len(shares) == 2 else looks[next(iter(shares))]
        part = max(shares.values())
        color = style.tint(color, strength_of(part, palest))
        strokes.append(Stroke(source, target, color, width_of(part), dashes))
    one, other = (sum(list(shares) == [task] for shares in parts.values()) for task in edges)
    return strokes, (one, other, len(parts) - one - other)
