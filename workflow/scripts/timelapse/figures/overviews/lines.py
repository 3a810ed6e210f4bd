"""Lines over the steps of fine-tuning, with their bands and the words at their ends."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from timelapse.figures import style

LINE_SPACE = 1.35
"""Heights of letters from one line of words to the next."""

ASIDE, LEADS = 0.2, 0.4
"""Inches from axes to words; and by how many heights of letters words are moved to get a leader."""


Steps = Sequence[int] | Int[np.ndarray, " step"]


class End(NamedTuple):
    """Words at the end of a line."""

    value: float
    words: str
    color: str


def step_axes(
    figure: Figure, left: float, bottom: float, wide: float, tall: float, named: bool = True
) -> Axes:
    """Axes over the steps, at a place in inches; `named` says whether they tell so."""
    axes = style.add_axes(figure, left, bottom, wide, tall)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=max(3, int(wide))))
    if named:
        axes.set_xlabel("fine-tuning step")
    else:
        axes.tick_params(labelbottom=False)
    axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    return axes


def draw_band(
    axes: Axes,
    steps: Steps,
    low: Float[np.ndarray, " step"],
    high: Float[np.ndarray, " step"],
    color: str,
) -> None:
    """The 95 % intervals around a line."""
    axes.fill_between(steps, low, high, color=color, alpha=0.18, linewidth=0)


def draw_line(
    axes: Axes,
    steps: Steps,
    value: Float[np.ndarray, " step"],
    color: str,
    width: float = 2.2,
    dashes: style.Dashes = "-",
    marker: str = "o",
) -> None:
    """A line with a mark at every checkpoint; where a value is missing it has a gap."""
    axes.plot(
        steps,
        value,
        color=color,
        linewidth=width,
        linestyle=dashes,
        marker=marker,
        markersize=4,
        clip_on=False,
        zorder=3,
    )


def draw_null(
    axes: Axes, steps: Steps, null: Float[np.ndarray, " step"], color: str = style.MUTED
) -> None:
    """What halves of the same checkpoint's prompts give, where that is known."""
    axes.plot(steps, null, color=color, linewidth=1.4, linestyle=":", zorder=2)


def name_ends(axes: Axes, ends: Sequence[End], size: float = style.TICK) -> None:
    """Write words right of the axes, as near to their lines' ends as they fit without overlaps.

    Values outside the axes are named at their edge. Call it when the axes' limits are final.
    """
    known = [end for end in ends if np.isfinite(end.value)]
    if not known:
        return
    tall = axes.get_window_extent().height / style.DPI
    true = _up(axes, np.array([end.value for end in known]))
    moved = apart(true, LINE_SPACE * size / 72 / tall)
    inch = 1.0 / (axes.get_window_extent().width / style.DPI)
    for end, at, up in zip(known, true, moved, strict=True):
        axes.annotate(
            end.words,
            (1.0 + ASIDE * inch, float(up)),
            xycoords="axes fraction",
            color=end.color,
            size=size,
            va="center",
            annotation_clip=False,
        )
        if abs(up - at) * tall > LEADS * size / 72:
            span = [1.0 + part * ASIDE * inch for part in (0.15, 0.75)]
            leader = Line2D(span, [at, up], color=end.color, linewidth=0.8)
            leader.set_transform(axes.transAxes)
            axes.figure.add_artist(leader)


def _up(axes: Axes, values: Float[np.ndarray, " end"]) -> Float[np.ndarray, " end"]:
    """Values as parts of the way up the axes."""
    pixels = axes.transData.transform(np.column_stack([np.zeros_like(values), values]))
    return np.clip(axes.transAxes.inverted().transform(pixels)[:, 1], 0.0, 1.0)


def room_for(words: Sequence[str], size: float = style.TICK) -> float:
    """Inches that the longest of some words takes, with some air."""
    return 0.4 + max(map(len, words)) * style.EMS_PER_CHARACTER * size / 72


def apart(places: Float[np.ndarray, " end"], gap: float) -> Float[np.ndarray, " end"]:
    """Move labels at least `gap` away from each other, as little as possible, between 0 and 1.

    In rising order the places less `gap` for each label below are to rise as well: an isotonic
    regression by pooling adjacent violators. Labels that are too many reach beyond 1.
    """
    rising = np.argsort(places, kind="stable")
    wanted = places[rising] - gap * np.arange(len(places))
    pools: list[list[float]] = []
    for place in wanted:
        pools.append([place])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    found = np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools])
    highest = max(0.0, 1.0 - gap * (len(places) - 1))
    moved = np.empty_like(found)
    moved[rising] = np.clip(found, 0.0, highest) + gap * np.arange(len(places))
    return moved
