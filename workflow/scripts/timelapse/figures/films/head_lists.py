"""Heads that stand out: those with the largest values, and those that hold a role.

Both run over all steps of the run and mark the one that is shown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.artist import Artist
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from timelapse.figures import style
from timelapse.figures.cells import number
from timelapse.figures.figure_tables import pivot
from timelapse.figures.graph.head_roles import role_words
from timelapse.stats import Z95

LISTED = 2.7


class RankingDrawing:
    """Heads with the largest values: lines over the steps, and a list in their order at each step.

    The other heads stay in sight as faint lines. See `film.FilmDrawing`.
    """

    def __init__(self, table: pa.Table, source: str | Path, *, ylabel: str, top: int = 7) -> None:
        """
        Args:
            table: the rows of all steps.
            source: where they come from, for messages.
            ylabel: what the value is, with its unit.
            top: how many heads are told apart by colour and listed, 7 at most.

        Raises:
            UserError: the table has several rows for one place.
        """
        grid = pivot(table, ("layer", "head"), source, error="ci_low")
        high = pivot(table, ("layer", "head"), source, error="ci_high").error
        self.steps = tuple(map(int, grid.steps))
        layers, heads = grid.labels
        self._names = np.array([f"a{layer}.h{head}" for layer in layers for head in heads])
        shape = (len(self.steps), len(self._names))
        self._value, self._low, self._high = (
            part.reshape(shape) for part in (grid.value, grid.error, high)
        )
        best = np.argsort(-np.nanmax(self._value, axis=0), kind="stable")[:top]
        self._colors = dict(zip(best.tolist(), style.SERIES, strict=False))
        largest = float(np.nanmax(np.abs(self._value))) or 1.0
        self._decimals = min(max(0, 1 - math.floor(math.log10(largest))), 3)

        height = 7.2
        self.figure = style.new_figure(style.WIDTH, height)
        wide = style.WIDTH - 1.0 - LISTED - style.MARGIN
        tall = height - 0.85 - style.HEADER - 0.25
        axes = style.add_axes(self.figure, 1.0, 0.85, wide, tall)
        axes.set_ylim(*style.limits(self._low, self._high))
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        axes.set_xlabel("fine-tuning step")
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", color=style.FAINT, linewidth=0.7)
        axes.axhline(0, color=style.MUTED, linewidth=0.9)
        for row in range(shape[1]):
            if row not in self._colors:
                axes.plot(self.steps, self._value[:, row], color=style.FAINT, linewidth=0.9)
        for row, color in self._colors.items():
            axes.fill_between(
                self.steps, self._low[:, row], self._high[:, row], color=color, alpha=0.2, lw=0
            )
            axes.plot(self.steps, self._value[:, row], color=color, linewidth=2.0, zorder=3)
        self._mark = axes.axvline(self.steps[0], color=style.INK, linewidth=1.1, linestyle=":")
        (self._dots,) = axes.plot([], [], "o", color=style.INK, markersize=4, zorder=4)
        left = (style.WIDTH - LISTED - style.MARGIN + 0.25) / style.WIDTH
        rows = [(0.85 + tall - 0.35 - 0.42 * number) / height for number in range(top + 1)]
        self.figure.text(
            left, rows[0], "rank at this step (95 % interval)", size=style.SMALL, color=style.MUTED
        )
        self._list = [self.figure.text(left, at, "", size=style.TICK) for at in rows[1:]]
        if shape[1] > top:
            self.figure.text(
                left,
                rows[-1] - 0.4 / height,
                f"colour: the {top} that ever change most\ngrey: the others",
                size=style.SMALL,
                color=style.MUTED,
                va="top",
            )
        self.changing: Sequence[Artist] = (self._mark, self._dots, *self._list)

    def show(self, index: int) -> None:
        """Bring the mark and the list to the step number `index` of `steps`."""
        value, low, high = self._value[index], self._low[index], self._high[index]
        step = self.steps[index]
        self._mark.set_xdata([step, step])
        colored = list(self._colors)
        self._dots.set_data([step] * len(colored), value[colored])
        ranked = np.argsort(-np.nan_to_num(value), kind="stable")
        for place, (text, row) in enumerate(zip(self._list, ranked, strict=False), start=1):
            middle, *ends = (f"{part[row]:.{self._decimals}f}" for part in (value, low, high))
            text.set_text(f"{place}  {self._names[row]}  {middle}  ({'–'.join(ends)})")
            text.set_color(self._colors.get(int(row), style.MUTED))


LEFT, RIGHT, STRIP, GAP = 2.35, 1.5, 0.24, 0.6
"""Inches at both sides, inches of a strip, and strips of space between roles."""


@dataclass(frozen=True)
class Strip:
    """A head under a role: where its strip lies, counted in strips from the top."""

    role: int
    head: int
    top: float


class RolesDrawing:
    """Which heads hold which role over the steps; see `film.FilmDrawing`."""

    def __init__(self, table: pa.Table, source: str | Path, *, top: int = 8) -> None:
        """
        Args:
            table: the rows of all steps.
            source: where they come from, for messages.
            top: the most heads that are shown for a role, the strongest.

        Raises:
            UserError: the table has several rows for one place.
        """
        axes_names = ("role", "layer", "head")
        scores = pivot(table, axes_names, source, value="score")
        holds = pivot(table, axes_names, source, value="holds", error="score")
        self.steps = tuple(map(int, scores.steps))
        roles, layers, heads = scores.labels
        shape = (len(self.steps), len(roles), len(layers) * len(heads))
        self._score, self._holds = scores.value.reshape(shape), holds.value.reshape(shape) > 0
        self._spread = Z95 * np.nan_to_num(scores.error).reshape(shape)
        names = [f"a{layer}.h{head}" for layer in layers for head in heads]
        self._strips, hidden = self._choose(top)
        depth = self._strips[-1].top + 1
        floor, over = 0.95, 0.3
        tall = max(depth * STRIP, 3.5)
        height = floor + tall + over + style.HEADER
        self.figure = style.new_figure(style.WIDTH, height)
        wide = style.WIDTH - LEFT - RIGHT
        axes = style.add_axes(self.figure, LEFT, floor, wide, tall)
        n = len(self.steps)
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(depth, 0)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_yticks(
            [strip.top + 0.5 for strip in self._strips],
            [
                names[strip.head]
                if np.isfinite(self._score[:, strip.role, strip.head]).any()
                else ""
                for strip in self._strips
            ],
            size=style.SMALL,
        )
        ticks = range(0, n, -(-n // 12))
        axes.set_xticks(ticks, [str(self.steps[tick]) for tick in ticks])
        axes.set_xlabel("fine-tuning step")
        self._texts = []
        palette = dict(enumerate(style.ROLES))
        for strip in self._strips:
            axes.imshow(
                self._shades(strip, palette[strip.role % len(palette)]),
                extent=(-0.5, n - 0.5, strip.top + 0.94, strip.top + 0.06),
                aspect="auto",
                interpolation="nearest",
            )
            self._texts.append(
                axes.text(
                    1.01,
                    strip.top + 0.5,
                    "",
                    va="center",
                    size=style.SMALL,
                    transform=axes.get_yaxis_transform(),
                )
            )
        for role, name in enumerate(roles):
            upper = min(strip.top for strip in self._strips if strip.role == role)
            more = f"\n(+ {hidden[role]} weaker)" if hidden[role] else ""
            self.figure.text(
                style.MARGIN / style.WIDTH,
                (floor + tall * (1 - (upper + 0.08) / depth)) / height,
                role_words(str(name)) + more,
                size=style.TICK,
                va="top",
            )
        axes.text(
            1.01,
            -0.2,
            "at this step",
            size=style.SMALL,
            color=style.MUTED,
            transform=axes.get_yaxis_transform(),
        )
        self._column = Rectangle(
            (-0.5, 0), 1, depth, fill=False, edgecolor=style.INK, linewidth=1.2, zorder=3
        )
        self._column.set_clip_on(False)
        self._later = Rectangle((0, 0), n, depth, facecolor="white", alpha=0.6, zorder=2)
        axes.add_patch(self._later)
        axes.add_patch(self._column)
        style.footnote(
            self.figure,
            "colour: the score passes the role's threshold · grey: the share of the role's largest"
            " score, below it · ± half the width of the 95 % interval",
            style.MARGIN,
        )
        self.changing: Sequence[Artist] = (self._later, self._column, *self._texts)

    def _choose(self, top: int) -> tuple[list[Strip], list[int]]:
        """The strips of every role, and how many heads that hold it have none."""
        strips, hidden, depth = [], [], 0.0
        largest = np.nan_to_num(self._score, nan=-np.inf).max(axis=0)
        for role in range(self._score.shape[1]):
            strongest = np.argsort(-largest[role], kind="stable")
            holding = [head for head in strongest if self._holds[:, role, head].any()]
            hidden.append(max(0, len(holding) - top))
            for head in sorted(holding[:top] or strongest[:1]):
                strips.append(Strip(role, int(head), depth))
                depth += 1
            depth += GAP
        return strips, hidden

    def _shades(self, strip: Strip, color: str) -> np.ndarray:
        """The colours of a strip, one row of pixels."""
        score = np.nan_to_num(self._score[:, strip.role, strip.head])
        largest = float(np.nanmax(self._score[:, strip.role], initial=0.0)) or 1.0
        share = np.clip(score / largest, 0, 1)[:, None]
        grey = 1 - 0.22 * share * np.ones(3)
        holds = self._holds[:, strip.role, strip.head, None]
        return np.where(holds, np.array(to_rgb(color)), grey)[None]

    def show(self, index: int) -> None:
        """Bring the marks and the scores to the step number `index` of `steps`."""
        self._column.set_x(index - 0.5)
        self._later.set_x(index + 0.5)
        for strip, text in zip(self._strips, self._texts, strict=True):
            score = self._score[index, strip.role, strip.head]
            holds = self._holds[index, strip.role, strip.head]
            spread = self._spread[index, strip.role, strip.head]
            known = np.isfinite(score)
            text.set_text(f"{number(score, 2)} ±{number(spread, 2)}" if known else "not defined")
            text.set_color(style.INK if holds else style.MUTED)
            text.set_fontweight("bold" if holds else "normal")
