"""What every renderer offers: open a table once, then show one step after the other.

Stage: figures. A `Plot` says what is drawn and is all that `kinds.py` states; the `Drawing` that it
opens owns a figure whose artists are updated in place. What `show` leaves must depend on the
index alone, so that a picture is the same whether it is drawn by itself or within a film.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from timelapse.figures import style


class Drawing(Protocol):
    """An open figure over the steps of one table."""

    figure: Figure
    steps: tuple[int, ...]

    def show(self, index: int) -> None:
        """Bring the artists to the step number `index` of `steps`."""


class Plot(Protocol):
    """A way to draw a table. Its fields are the options that a config may set."""

    def open(self, table: pa.Table, source: str | Path) -> Drawing:
        """Prepare a figure whose scales hold every step of `table`.

        Args:
            table: the probe's rows of all steps.
            source: where they come from, for messages.
        """


def name_ticks(axes: Axes, labels: Sequence[object], width: float) -> None:
    """Label 0, 1, 2, ... on the x axis within `width` inches.

    Long labels get smaller first; when that would make them illegible they stand upright, and the
    axes' floor rises to give them room.
    """
    names = [tick_name(label) for label in labels]
    longest = max(map(len, names))
    fitting = 72 * width / len(names) / (longest + 0.6) / _EMS_PER_CHARACTER
    if fitting >= _SMALLEST_LEVEL:
        axes.set_xticks(range(len(names)), names, size=min(fitting, style.TICK))
        axes.tick_params(axis="x", length=0)
    else:
        size = max(style.SMALLEST, min(style.TICK, 72 * width / len(names) / 1.2))
        axes.set_xticks(range(len(names)), names, size=size, rotation=90)
        style.raise_floor(axes, (longest - 2) * _EMS_PER_CHARACTER * size / 72)


def tick_name(label: object) -> str:
    """A label without needless decimals."""
    return f"{label:g}" if isinstance(label, float) else str(label)


_EMS_PER_CHARACTER = 0.58
_SMALLEST_LEVEL = 9.0
