"""The circuits of the first and the last step beside each other. Stage: figures."""

from matplotlib.figure import Figure

from timelapse import tables
from timelapse.figures.edges import in_words, read_scores, select
from timelapse.figures.header import WinRates, percent
from timelapse.figures.held import Held
from timelapse.figures.pages.given import Given
from timelapse.figures.pages.plots import FirstLast
from timelapse.figures.sheet import GraphSheet
from timelapse.figures.strokes import change_handles, sign_handles, strokes_of, width_handles


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
    rates = WinRates.of(given.table(task, "win_rate", tables.WIN_RATE))
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
