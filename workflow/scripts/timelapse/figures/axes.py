"""What the frames of a film are drawn with, and ticks that carry names."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timelapse.figures import style


@runtime_checkable
class FilmDrawing(Protocol):
    """An open figure over the steps of one table, whose artists are updated in place.

    What `show` leaves must depend on the index alone, so that a picture is the same whether it is
    drawn by itself or within a film.

    Attributes:
        figure: the figure; everything but `changing` stays as it is when it is opened.
        steps: the steps that can be shown, ascending.
        changing: the artists that `show` updates. They are drawn over all others, by their zorder
            and in this order.
    """

    figure: Figure
    steps: tuple[int, ...]
    changing: Sequence[Artist]

    def show(self, index: int) -> None:
        """Bring the artists to the step number `index` of `steps`."""


def name_ticks(axes: Axes, labels: Sequence[object], width: float) -> None:
    """Label 0, 1, 2, ... on the x axis within `width` inches.

    Long labels get smaller first; when that would make them illegible they stand upright, and the
    axes' floor rises to give them room.
    """
    names = [tick_name(label) for label in labels]
    longest = max(map(len, names))
    fitting = 72 * width / len(names) / (longest + 0.6) / style.EMS_PER_CHARACTER
    if fitting >= _SMALLEST_LEVEL:
        axes.set_xticks(range(len(names)), names, size=min(fitting, style.TICK))
        axes.tick_params(axis="x", length=0)
    else:
        size = max(style.SMALLEST, min(style.TICK, 72 * width / len(names) / 1.2))
        axes.set_xticks(range(len(names)), names, size=size, rotation=90)
        style.raise_floor(axes, (longest - 2) * style.EMS_PER_CHARACTER * size / 72)


def tick_name(label: object) -> str:
    """A label without needless decimals."""
    return f"{label:g}" if isinstance(label, float) else str(label)


_SMALLEST_LEVEL = 9.0
