"""Grids of cells: checkpoints against checkpoints, parts of the model over steps, moved heads."""

import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.figure import Figure

from timelapse.errors import UserError
from timelapse.figures import style
from timelapse.figures.cells import CellGrid, draw_cells, name_columns, name_rows
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.overviews.comparison_table import ComparisonMatrix, ComparisonTable
from timelapse.files.parquet import REBUILD

_HEAD = re.compile(r"a(\d+)\.h(\d+)")


def step_matrices_figure(
    tables: InputTables,
    *,
    measures: Mapping[str, str],
    unit: str,
    null: str,
    mark: str,
    rows: str = "step",
    columns: str = "step",
    symmetric: bool = True,
) -> Figure:
    """A measure of every two checkpoints; a ring marks the cells whose interval reaches the null.

    Args:
        tables: comparison of one task.
        measures: of the comparison, and what the panel of each is called.
        unit: what the colour stands for.
        null: what the null is, which stands beside each panel.
        mark: what a ring means.
        rows: what stands upwards.
        columns: what runs to the right.
        symmetric: whether (a, b) and (b, a) are the same, so that the table has one of them; the
            rows are the second of each pair.

    Raises:
        UserError: the table cannot be used or lacks a measure of two steps.
    """
    (task,) = tables.tasks
    comparison = ComparisonTable(tables, task)
    found = {name: comparison.matrix(name, symmetric) for name in measures}
    left, floor, strip, air, gap, scale, broadest = 1.0, 1.35, 0.42, 0.12, 0.7, 1.3, 6.0
    n = len(measures)
    around = left + scale + n * (strip + air) + (n - 1) * gap
    side = min((style.WIDTH - around) / n, broadest)
    width = around + n * side
    over = 0.5 if any(measures.values()) else 0.1
    figure = style.new_figure(width, style.HEADER + over + side + floor)
    values = np.concatenate([part.ravel() for at in found.values() for part in (at.value, at.null)])
    known = values[np.isfinite(values)]
    norm = Normalize(min(known, default=0.0), max((1.0, *known)))
    for number, (name, words) in enumerate(measures.items()):
        matrix = found[name]
        beside = left + number * (side + air + strip + gap)
        axes = style.add_axes(figure, beside, floor, side, side)
        # The table has the circuit's step first; the rows are the second of each pair.
        cells = draw_cells(axes, matrix.value.T, norm, style.SEQUENTIAL, _as_null(matrix).T)
        name_columns(axes, list(comparison.steps), side)
        name_rows(axes, list(comparison.steps))
        axes.set_xlabel(columns)
        if number == 0:
            axes.set_ylabel(rows)
        else:
            axes.tick_params(labelleft=False)
        axes.set_title(words, loc="left")
        nulls = style.add_axes(figure, beside + side + air, floor, strip, side)
        draw_cells(nulls, np.diag(matrix.null)[:, None], norm, style.SEQUENTIAL)
        nulls.set_xticks([0], ["null"])
        nulls.set_yticks([])
    _add_scale(figure, cells, width - scale, floor, side, unit)
    for line, words in enumerate((f"null: {null}", f"○  {mark}")):
        style.footnote(figure, words, left, 0.5 - 0.25 * line)
    return figure


def layer_change_figure(tables: InputTables, *, prefix: str, unit: str) -> Figure:
    """How much each part has changed since the first step; rings mark what halves give too.

    Args:
        tables: comparison of one task.
        prefix: what the names of the measures of all parts begin with.
        unit: of the change.

    Raises:
        UserError: the table cannot be used or has no such measures.
    """
    (task,) = tables.tasks
    comparison = ComparisonTable(tables, task)
    parts = comparison.named(prefix)
    found = [comparison.since_first(prefix + part) for part in parts]
    value, low, null = (
        np.stack([getattr(series, name) for series in found]) for name in ("value", "low", "null")
    )
    left, floor, scale, over = 1.0, 1.25, 1.4, 0.2
    tall = min(max(0.42 * len(parts), 3.4), 7.5)
    figure = style.new_figure(style.WIDTH, style.HEADER + over + tall + floor)
    wide = style.WIDTH - left - scale
    axes = style.add_axes(figure, left, floor, wide, tall)
    norm = Normalize(0.0, float(np.nan_to_num(value).max()) or 1.0)
    uncertain = (low <= null) & (np.array(comparison.steps) != comparison.steps[0])
    cells = draw_cells(axes, value, norm, style.AMOUNT, uncertain)
    name_rows(axes, list(parts))
    name_columns(axes, list(comparison.steps), wide)
    axes.set_xlabel("fine-tuning step")
    axes.set_ylabel("part that reads the edges")
    _add_scale(figure, cells, style.WIDTH - scale, floor, tall, unit)
    style.footnote(
        figure,
        "a0: heads of layer 0, m0: its MLP · ○  95 % interval reaches the null: no more than"
        " between random halves of the prompts of one checkpoint",
        left,
    )
    return figure


def transplant_figure(tables: InputTables, *, prefix: str, unit: str) -> Figure:
    """What each head of the last checkpoint does in the first, and the other way round.

    Args:
        tables: comparison of one task.
        prefix: what the names of the measures of all heads begin with.
        unit: what the colour stands for.

    Raises:
        UserError: the table cannot be used, or a measure is not one of a head.
    """
    (task,) = tables.tasks
    comparison = ComparisonTable(tables, task)
    names = comparison.named(prefix)
    found = [_HEAD.fullmatch(name) for name in names]
    heads = [(int(match[1]), int(match[2])) for match in found if match is not None]
    if len(heads) < len(names):
        wrong = next(name for name, match in zip(names, found, strict=True) if match is None)
        raise UserError(
            comparison.source, "measure", f"{prefix}{wrong} is not a measure of a head", REBUILD
        )
    first, last = comparison.steps[0], comparison.steps[-1]
    panels = {
        f"checkpoint: step {first} · head from: step {last}": (first, last),
        f"checkpoint: step {last} · head from: step {first}": (last, first),
    }
    size = (len(panels), 1 + max(layer for layer, _ in heads), 1 + max(head for _, head in heads))
    value, low, high = np.full((3, *size), np.nan)
    for number, pair in enumerate(panels.values()):
        for name, (layer, head) in zip(names, heads, strict=True):
            at = number, layer, head
            value[at], low[at], high[at] = comparison.at(prefix + name, pair)
    left, floor, over, gap, scale = 1.0, 1.15, 0.5, 0.6, 1.6
    tall = min(max(0.5 * size[1], 3.2), 6.5)
    figure = style.new_figure(style.WIDTH, style.HEADER + over + tall + floor)
    wide = (style.WIDTH - left - scale - gap) / 2
    largest = float(np.nan_to_num(np.abs(value)).max())
    bound = min(largest, 1.0) or 1.0
    norm = CenteredNorm(0.0, bound)
    for number, words in enumerate(panels):
        axes = style.add_axes(figure, left + number * (wide + gap), floor, wide, tall)
        uncertain = (low[number] <= 0) & (high[number] >= 0)
        cells = draw_cells(axes, value[number], norm, style.DIVERGING, uncertain)
        name_columns(axes, list(range(size[2])), wide)
        name_rows(axes, list(range(size[1])))
        axes.set_xlabel("head")
        if number == 0:
            axes.set_ylabel("layer")
        axes.set_title(words, loc="left")
    beyond = largest > bound
    _add_scale(figure, cells, style.WIDTH - scale, floor, tall, unit, beyond)
    style.footnote(figure, "○  95 % interval includes 0", left)
    return figure


def _add_scale(
    figure: Figure,
    cells: CellGrid,
    left: float,
    floor: float,
    tall: float,
    unit: str,
    beyond: bool = False,
) -> None:
    """A colour scale right of the panels; `beyond`: whether some values lie outside of it."""
    axes = style.add_axes(figure, left + 0.25, floor, 0.22, tall)
    colorbar = figure.colorbar(cells.image, cax=axes, extend="both" if beyond else "neither")
    colorbar.set_label(unit)
    colorbar.outline.set_visible(False)


def _as_null(matrix: ComparisonMatrix) -> Bool[np.ndarray, "a b"]:
    """Off the diagonal, where the interval reaches the null."""
    return (matrix.high >= matrix.null) & ~np.eye(len(matrix.value), dtype=bool)
