"""Grids of coloured cells with numbers or marks in them. Stage: figures."""

import math

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

from timelapse.figures import style
from timelapse.figures.axes import tick_name

SMALLEST, HIGH = 7.2, 0.2
"""The smallest size of numbers in cells, and the inches that a cell needs to be high for them."""


def draw_cells(
    axes: Axes,
    value: Float[np.ndarray, "row column"],
    norm: Normalize,
    colors: Colormap,
    marked: Bool[np.ndarray, "row column"] | None = None,
) -> AxesImage:
    """Colour the cells, the first row at the bottom; missing values stay grey.

    Where there is room the cells carry their numbers. `marked` cells carry a small ring.
    """
    n_rows, n_columns = value.shape
    axes.set_facecolor("#ececec")
    image = axes.imshow(
        np.ma.masked_invalid(value),
        cmap=colors,
        norm=norm,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_xticks(np.arange(n_columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.0)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    box = axes.get_window_extent()
    wide, high = box.width / n_columns / style.DPI, box.height / n_rows / style.DPI
    decimals = _decimals(norm)
    words = {at: _words(float(number), decimals) for at, number in np.ndenumerate(value)}
    longest = max(map(len, words.values()))
    size = min(style.SMALL, 72 * wide / (longest + 0.8) / style.EMS_PER_CHARACTER)
    numbered = size >= SMALLEST and high >= HIGH
    dark = {at: _is_dark(colors(norm(value[at]))) for at in np.ndindex(value.shape)}
    if numbered:
        for (row, column), number in np.ndenumerate(value):
            if np.isfinite(number):
                axes.text(
                    column,
                    row,
                    words[row, column],
                    ha="center",
                    va="center",
                    size=size,
                    color="white" if dark[row, column] else style.INK,
                )
    if marked is not None and marked.any():
        rows, columns = np.nonzero(marked)
        shift = 0.36 if numbered else 0.0
        axes.scatter(
            columns + shift,
            rows + (0.34 if numbered else 0.0),
            s=9,
            facecolors="none",
            edgecolors=[
                "white" if dark[at] else style.INK for at in zip(rows, columns, strict=True)
            ],
            linewidths=0.9,
        )
    return image


def name_rows(axes: Axes, labels: list[object], most: int = 26) -> None:
    """Label the rows, at most so many of them."""
    every = range(0, len(labels), math.ceil(len(labels) / most))
    axes.set_yticks(list(every), [tick_name(labels[at]) for at in every])


def name_columns(axes: Axes, labels: list[object], wide: float) -> None:
    """Label the columns, as many as fit side by side within `wide` inches."""
    names = [tick_name(label) for label in labels]
    longest = 0.12 + max(map(len, names)) * style.EMS_PER_CHARACTER * style.TICK / 72
    every = range(0, len(names), math.ceil(len(names) * longest / wide))
    axes.set_xticks(list(every), [names[at] for at in every])


def _words(number: float, decimals: int) -> str:
    """A number without a sign if it rounds to 0; nothing if it is missing."""
    if not np.isfinite(number):
        return ""
    return f"{round(number, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _decimals(norm: Normalize) -> int:
    """Two, but more for small numbers and none for large ones."""
    largest = max(abs(float(norm.vmin or 0.0)), abs(float(norm.vmax or 1.0))) or 1.0
    if largest >= 100:
        return 0
    return 2 if largest >= 0.3 else 1 - math.floor(math.log10(largest))


def _is_dark(color: tuple[float, float, float, float]) -> bool:
    return float(np.dot(color[:3], (0.299, 0.587, 0.114))) < 0.5
