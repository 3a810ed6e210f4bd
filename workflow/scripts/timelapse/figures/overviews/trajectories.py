"""The scores of all heads over the steps, coloured by what became of them."""

from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from matplotlib.figure import Figure

from timelapse.figures import style
from timelapse.figures.figure_tables import InputTables, pivot
from timelapse.figures.overviews.lines import (
    End,
    draw_band,
    draw_line,
    name_ends,
    room_for,
    step_axes,
)

HEIGHT, LEFT, FLOOR = 7.4, 1.0, 1.05


class Look(NamedTuple):
    """How the line of a head with a label looks."""

    color: str
    dashes: style.Dashes


LOOKS = {
    "added": Look(style.GREEN, "-"),
    "amplified": Look(style.BLUE, "-"),
    "kept": Look(style.INK, "-"),
    "weakened": Look(style.AMBER, "-."),
    "lost": Look(style.ORANGE, "--"),
}
"""From what is new to what is gone."""


def trajectories_figure(tables: InputTables, *, ylabel: str, named: int = 10) -> Figure:
    """A line for each head; those that ever score highest have bands and names at their ends.

    Args:
        tables: heads of one task.
        ylabel: what the score is, with its unit.
        named: how many heads are named, at least 1.

    Raises:
        UserError: the table cannot be used.
    """
    (task,) = tables.tasks
    table, source = tables.table(task, "heads"), tables.source(task, "heads")
    axes_of = ("layer", "head")
    scores = pivot(table, axes_of, source, value="score", error="ci_low")
    high = pivot(table, axes_of, source, value="score", error="ci_high").error
    layers, heads = scores.labels
    n = len(layers) * len(heads)
    value, low, high = (part.reshape(-1, n) for part in (scores.value, scores.error, high))
    names = [f"a{layer}.h{head}" for layer in layers for head in heads]
    last = table.filter(pc.equal(table["step"], int(scores.steps[-1])))
    labels = dict.fromkeys(names, "")
    for row in last.to_pylist():
        labels[f"a{row['layer']}.h{row['head']}"] = row["label"] or ""
    order = np.argsort(-np.nan_to_num(np.abs(value)).max(axis=0), kind="stable")
    labelled = [int(at) for at in order if labels[names[at]]]
    best = labelled[:named]
    words = {at: f"{names[at]} {labels[names[at]]}" for at in best}

    figure = style.new_figure(style.WIDTH, HEIGHT)
    wide = style.WIDTH - LEFT - room_for(["a00.h00 amplified", *words.values()], style.SMALL)
    axes = step_axes(figure, LEFT, FLOOR, wide, HEIGHT - FLOOR - style.HEADER - 0.45)
    axes.set_ylim(*style.limits(low, high))
    axes.axhline(0, color=style.MUTED, linewidth=0.9)
    axes.set_ylabel(ylabel)
    for at in reversed(order.tolist()):
        look = LOOKS.get(labels[names[at]])
        if look is None:
            axes.plot(scores.steps, value[:, at], color=style.FAINT, linewidth=0.9)
            continue
        if at not in best:
            axes.plot(scores.steps, value[:, at], color=look.color, linewidth=0.8, alpha=0.45)
            continue
        draw_band(axes, scores.steps, low[:, at], high[:, at], look.color)
        draw_line(axes, scores.steps, value[:, at], look.color, dashes=look.dashes, marker="")
    ends = [End(float(value[-1, at]), words[at], LOOKS[labels[names[at]]].color) for at in best]
    name_ends(axes, ends, style.SMALL)
    first = int(scores.steps[0])
    counts = {name: list(labels.values()).count(name) for name in LOOKS}
    handles = [
        style.line_handle(f"{name} ({counts[name]})", look.color, 2.2, look.dashes)
        for name, look in LOOKS.items()
        if counts[name]
    ]
    rest = sum(not label for label in labels.values())
    if rest:
        handles.append(style.line_handle(f"absent ({rest})", style.FAINT, 1.5))
    style.legend_above(axes, handles)
    style.footnote(
        figure,
        f"colour and dashes: the last step against step {first} · bands: 95 % intervals"
        f" · named: the {len(best)} that ever score highest",
        LEFT,
    )
    return figure
