"""Grids of coloured cells that carry numbers and marks, in films and in overviews."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.text import Text

from timelapse.figures import style
from timelapse.figures.style import tick_name

SMALLEST, HIGH = 7.2, 0.2
"""The smallest size of numbers in cells, and the inches that a line of them needs."""

_LINE = 1.3
"""From one line of a cell to the next, in heights of letters."""

MISSING = "#ececec"
_CORNER = 0.36, 0.34
"""Where a mark stands in a cell that carries a number, right of and above its middle."""


class CellText(Text):
    """Centred lines, each rendered once and then copied wherever the same words come back.

    Laying out and rendering the numbers of a grid would take most of a film's time.
    """

    _pictures: dict[tuple[str, str, float], UInt8[np.ndarray, "height width 4"]]

    def __init__(
        self,
        at: tuple[float, float],
        size: float,
        pictures: dict[tuple[str, str, float], UInt8[np.ndarray, "height width 4"]],
    ) -> None:
        """
        Args:
            at: its middle.
            size: in points.
            pictures: what was rendered before, by words, colour and size; texts can share it.
        """
        super().__init__(*at, "", ha="center", va="center", size=size, zorder=3)
        self._pictures = pictures

    def draw(self, renderer: RendererBase) -> None:
        """Draw it; copies are for pixels alone, other formats get text."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        if not self.get_text() or not self.get_visible():
            return
        x, y = self.get_transform().transform(self.get_position())
        lines = self.get_text().split("\n")
        step = renderer.points_to_pixels(_LINE * float(self.get_fontsize()))
        context = renderer.new_gc()
        for number, words in enumerate(lines):
            picture = self._picture(words, renderer)
            height, width, _ = picture.shape
            up = y + step * ((len(lines) - 1) / 2 - number)
            left, bottom = round(x - width / 2), round(up - height / 2)
            renderer.draw_image(context, left, bottom, picture[::-1])
        context.restore()

    def _picture(self, words: str, renderer: RendererAgg) -> UInt8[np.ndarray, "height width 4"]:
        """A line on a transparent ground."""
        key = words, str(self.get_color()), float(self.get_fontsize())
        if key not in self._pictures:
            alone = Text(0, 0, words, ha="center", va="center", color=key[1], size=key[2])
            alone.set_figure(self.figure)
            box = alone.get_window_extent(renderer)
            width, height = (2 * math.ceil(side / 2) + 4 for side in (box.width, box.height))
            alone.set_position((width / 2, height / 2))
            ground = RendererAgg(width, height, renderer.dpi)
            alone.draw(ground)
            self._pictures[key] = np.array(ground.buffer_rgba())
        return self._pictures[key]


class CellGrid:
    """Cells on axes, the first row at the bottom; missing values are grey.

    Attributes:
        image: the coloured cells.
        texts: one a cell, row by row, if cells carry numbers.
        changing: the artists that `show` updates, and what lies on them.
    """

    def __init__(
        self,
        axes: Axes,
        shape: tuple[int, int],
        norm: Normalize,
        colors: Colormap,
        number_size: float | None = None,
        gap: float = 1.0,
    ) -> None:
        """
        Args:
            axes: where the cells are drawn.
            shape: how many rows and columns there are.
            norm: from values to the colour map.
            colors: the colour map.
            number_size: the size in points of the numbers in the cells; without numbers if None.
            gap: white between cells, in points.
        """
        self._norm, self._colors = norm, colors
        rows, columns = shape
        axes.set_facecolor(MISSING)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        self.image = axes.imshow(
            np.ma.masked_all(shape),
            cmap=colors,
            norm=norm,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
        ends = (-0.5, rows - 0.5), (-0.5, columns - 0.5)
        upright = [[(at - 0.5, ends[0][0]), (at - 0.5, ends[0][1])] for at in range(columns + 1)]
        level = [[(ends[1][0], at - 0.5), (ends[1][1], at - 0.5)] for at in range(rows + 1)]
        grid = LineCollection([*upright, *level], colors="white", linewidths=gap, zorder=2)
        axes.add_collection(grid, autolim=False)
        self._shift = (0.0, 0.0) if number_size is None else _CORNER
        self._marks = axes.scatter([], [], s=9, facecolors="none", linewidths=0.9, zorder=3)
        self.texts: list[CellText] = []
        pictures: dict[tuple[str, str, float], UInt8[np.ndarray, "height width 4"]] = {}
        for row, column in np.ndindex(shape) if number_size is not None else ():
            assert number_size is not None
            text = CellText((float(column), float(row)), number_size, pictures)
            axes.add_artist(text)
            self.texts.append(text)
        self.changing: Sequence[Artist] = (self.image, grid, *self.texts, self._marks)

    def show(
        self,
        value: Float[np.ndarray, "row column"],
        marked: Bool[np.ndarray, "row column"] | None = None,
        words: Sequence[str] = (),
    ) -> None:
        """Fill the cells.

        Args:
            value: what is shown as colour; nan where it is missing.
            marked: the cells that carry a small ring.
            words: the text of every cell, row by row, if cells carry numbers.
        """
        known = np.ma.masked_invalid(value)
        self.image.set_data(known)
        shade = np.asarray(self._colors(self._norm(known)))[..., :3]
        ink = np.where(shade @ style.LUMINANCE < 0.5, "white", style.INK)
        for text, content, color in zip(self.texts, words, ink.ravel(), strict=False):
            text.set_text(content)
            text.set_color(str(color))
        rows, columns = np.nonzero(marked) if marked is not None else (np.zeros(0, int),) * 2
        self._marks.set_offsets(np.column_stack([columns, rows]) + self._shift)
        self._marks.set_edgecolor(ink[rows, columns].tolist())


def draw_cells(
    axes: Axes,
    value: Float[np.ndarray, "row column"],
    norm: Normalize,
    colors: Colormap,
    marked: Bool[np.ndarray, "row column"] | None = None,
) -> CellGrid:
    """Colour the cells of axes once; where there is room they carry their numbers.

    Args:
        axes: where the cells are drawn, at their final size.
        value: nan where it is missing.
        norm: from values to the colour map.
        colors: the colour map.
        marked: the cells that carry a small ring.
    """
    n_rows, n_columns = value.shape
    box = axes.get_window_extent()
    wide, high = box.width / n_columns / style.DPI, box.height / n_rows / style.DPI
    decimals = decimals_for(max(abs(float(norm.vmin or 0.0)), abs(float(norm.vmax or 1.0))))
    words = [number(float(one), decimals) for one in value.flat]
    size = min(style.SMALL, fitting_size(words, wide))
    numbered = size >= SMALLEST and high >= HIGH
    grid = CellGrid(axes, (n_rows, n_columns), norm, colors, size if numbered else None)
    grid.show(value, marked, words)
    return grid


def fitting_size(words: Sequence[str], wide: float) -> float:
    """The size in points at which the longest of some words takes less than `wide` inches."""
    longest = max(map(len, words))
    return 72 * wide / (longest + 0.8) / style.EMS_PER_CHARACTER


def number(value: float, decimals: int, sign: str = "-") -> str:
    """A number without a sign if it rounds to 0; nothing if it is missing.

    Args:
        value: the number.
        decimals: how many it has.
        sign: "+" to write the sign of positive numbers too.
    """
    if not np.isfinite(value):
        return ""
    rounded = round(value, decimals) + 0.0
    if not rounded:
        sign = "-"
    return f"{rounded:{sign}.{decimals}f}".replace("-", "−")


def decimals_for(largest: float) -> int:
    """Two, but more for small numbers and none for large ones.

    Args:
        largest: the largest |value|.
    """
    if largest >= 100:
        return 0
    return 2 if largest >= 0.3 or not largest else 1 - math.floor(math.log10(largest))


def name_rows(axes: Axes, labels: Sequence[object], most: int = 26) -> None:
    """Label the rows, at most so many of them."""
    every = range(0, len(labels), math.ceil(len(labels) / most))
    axes.set_yticks(list(every), [tick_name(labels[at]) for at in every])


def name_columns(axes: Axes, labels: Sequence[object], wide: float) -> None:
    """Label the columns, as many as fit side by side within `wide` inches."""
    names = [tick_name(label) for label in labels]
    longest = 0.12 + max(map(len, names)) * style.EMS_PER_CHARACTER * style.TICK / 72
    every = range(0, len(names), math.ceil(len(names) * longest / wide))
    axes.set_xticks(list(every), [names[at] for at in every])
