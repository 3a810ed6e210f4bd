"""The circuits of the first and the last step beside each other, of one task or of two."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from timelapse.circuits.graph import Source, Target
from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.graph.circuit_edges import (
    POOLED,
    ShownCircuits,
    ShownEdge,
    corruption_words,
    nodes_of,
    read_scores,
    select,
)
from timelapse.figures.graph.edge_style import (
    EdgeStyle,
    change_handles,
    edge_styles,
    palest_of,
    sign_handles,
    strength_of,
    width_handles,
    width_of,
)
from timelapse.figures.graph.head_roles import HeadRoleLabels
from timelapse.figures.graph.page import GraphPage
from timelapse.figures.header import WinRateSeries, percent


def first_last_figure(
    tables: InputTables,
    *,
    score: str,
    edges: int = 30,
    method: str | None = None,
    corruption: str | None = None,
) -> Figure:
    """Two graphs with the same places and widths.

    What is lost stays in dashes at the right, where what is added has its halo.

    Args:
        tables: edges and win_rate of one task, and head_roles if they were measured.
        score: what the score of an edge is, with its unit.
        edges: how many of the strongest edges are chosen before pruning.
        method: what scored the edges; the first in the table if None.
        corruption: the one that is drawn; pooled over all if None.

    Raises:
        UserError: a table cannot be used, or there is no such method or corruption.
    """
    (task,) = tables.tasks
    shown = corruption or POOLED
    circuits = _circuits(tables, task, edges, method, shown)
    roles = tables.table(task, "head_roles") if tables.has(task, "head_roles") else None
    labels = HeadRoleLabels.of(roles)
    rates = WinRateSeries.of(tables.table(task, "win_rate"))
    rates.check_steps(circuits.steps, tables.source(task, "win_rate"))
    steps = dict.fromkeys((circuits.steps[0], circuits.steps[-1]))
    page = GraphPage(circuits.shape, len(steps), labels.colors_of(circuits.active_nodes()))
    for panel, step in zip(page.panels, steps, strict=True):
        kept, lost = circuits.edges[step, shown], circuits.lost[step, shown]
        rate = percent(rates.rate[rates.steps.tolist().index(step)])
        title = f"step {step} · win rate {rate} %\n{len(kept)} of {edges} edges"
        if step != circuits.steps[0]:
            added = sum(edge.change == "added" for edge in kept)
            title += f" · {added} added, {len(lost)} lost"
        panel.show(
            title,
            edge_styles(kept, lost, circuits.largest),
            nodes_of(kept),
            labels.strongest(step),
        )
    page.explain(
        f"drawn: of the {edges} strongest edges ({circuits.method}, {corruption_words(shown)})"
        f" those on a path from input to logits · score: {score}",
        [
            *sign_handles(),
            *width_handles(circuits.largest),
            *change_handles("kept", "added", "lost"),
        ],
    )
    return page.figure


BOTH: tuple[str, style.Dashes] = (style.INK, "-")
ALONE: tuple[tuple[str, style.Dashes], ...] = ((style.GREEN, "-"), ("#AA4499", "--"))


def shared_graph_figure(
    tables: InputTables,
    *,
    edges: int = 30,
    method: str | None = None,
    corruption: str | None = None,
) -> Figure:
    """Edges of one task only in its colour, those of both in black; width is the larger share.

    A task's scores are taken as shares of its largest, since logits of different tasks cannot be
    compared.

    Args:
        tables: edges of two tasks; the first two are drawn.
        edges: how many of the strongest edges of each task are chosen before pruning.
        method: what scored the edges; the first in the table if None.
        corruption: the one that is drawn; pooled over all if None.

    Raises:
        UserError: a table cannot be used, or the steps or models of the tasks differ.
    """
    pair, shown = tables.tasks[:2], corruption or POOLED
    found = {task: _circuits(tables, task, edges, method, shown) for task in pair}
    one, other = found.values()
    if (one.shape, one.steps) != (other.shape, other.steps):
        raise UserError(
            tables.source(pair[1], "edges"),
            "",
            f"it has other steps or another model than the edges of {pair[0]}",
            "Measure both tasks on the same checkpoints",
        )
    steps = dict.fromkeys((one.steps[0], one.steps[-1]))
    page = GraphPage(one.shape, len(steps), {})
    for panel, step in zip(page.panels, steps, strict=True):
        drawn = {task: found[task].edges[step, shown] for task in pair}
        styles, counts = _shared_styles(drawn, {task: found[task].largest for task in pair})
        active = {name for task in pair for name in nodes_of(drawn[task])}
        names = (*(f"{task} only" for task in pair), "both")
        words = " · ".join(f"{n} {name}" for name, n in zip(names, counts, strict=True))
        panel.show(f"step {step}\n{words}", styles, active, {})
    page.explain(
        f"drawn: of the {edges} strongest edges of each task ({one.method},"
        f" {corruption_words(shown)}) those on a path from input to logits · width: |score| as a"
        " share of the task's largest; of both tasks' shares the larger",
        [
            *(
                style.line_handle(f"{task} only", color, 3.0, dashes)
                for task, (color, dashes) in zip(pair, ALONE, strict=True)
            ),
            style.line_handle("both", BOTH[0], 3.0),
            *(
                style.line_handle(f"{100 * part:.0f} % of the largest", style.INK, width_of(part))
                for part in (0.1, 0.5, 1.0)
            ),
        ],
    )
    return page.figure


def _circuits(
    tables: InputTables, task: str, edges: int, method: str | None, corruption: str
) -> ShownCircuits:
    source = tables.source(task, "edges")
    scores = read_scores(tables.table(task, "edges"), method, source)
    return select(scores.under(corruption, source), edges)


def _shared_styles(
    edges: Mapping[str, tuple[ShownEdge, ...]], largest: Mapping[str, float]
) -> tuple[list[EdgeStyle], tuple[int, int, int]]:
    """The looks of all edges, those of both tasks and strong ones on top; and how many are of each.

    Args:
        edges: the circuits of both tasks.
        largest: the largest |score| of each task.
    """
    parts: dict[tuple[Source, Target], dict[str, float]] = {}
    for task, circuit in edges.items():
        for edge in circuit:
            found = parts.setdefault((edge.source, edge.target), {})
            found[task] = abs(edge.score) / largest[task]
    looks = dict(zip(edges, ALONE, strict=True))
    styles = []
    rising = sorted(parts.items(), key=lambda item: (len(item[1]), max(item[1].values())))
    palest = palest_of(len(parts))
    for (source, target), shares in rising:
        color, dashes = BOTH if len(shares) == 2 else looks[next(iter(shares))]
        part = max(shares.values())
        color = style.tint(color, strength_of(part, palest))
        styles.append(EdgeStyle(source, target, color, width_of(part), dashes))
    one, other = (sum(list(shares) == [task] for shares in parts.values()) for task in edges)
    return styles, (one, other, len(parts) - one - other)
