"""What a figure draws, in words of the table it reads: the rows, the axes, their names and units.

Stage: figures. Nothing here needs a plotting library, so that the list of kinds can be read in no
time; `renderers.py` says how each plot is drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Key = str | int | float | bool


@dataclass(frozen=True)
class Line:
    """A line over named places, with its 95 % band.

    Attributes:
        x: the column whose labels go along the axis.
        xlabel: what the labels are.
        ylabel: what the value is, with its unit.
        where: the rows that are drawn.
        order: the column that sorts the labels; by appearance if None.
    """

    x: str
    xlabel: str
    ylabel: str
    where: Mapping[str, Key] = field(default_factory=dict)
    order: str | None = None


@dataclass(frozen=True)
class Bars:
    """A bar with its 95 % interval for each named place.

    Attributes:
        x: the column whose labels go along the axis.
        xlabel: what the labels are.
        ylabel: what the value is, with its unit.
        where: the rows that are drawn.
        order: the column that sorts the labels; by appearance if None.
        groups: what the labels that begin with a certain letter are called in the legend.
    """

    x: str
    xlabel: str
    ylabel: str
    where: Mapping[str, Key] = field(default_factory=dict)
    order: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heatmap:
    """A grid of coloured cells, or one grid for each value of a column.

    Attributes:
        rows: the column that runs upwards, the lowest value at the bottom.
        columns: the column that runs to the right.
        unit: what the colour stands for, with its unit.
        where: the rows of the table that are drawn.
        panel: the column that gets a panel of its own for each value; one panel if None.
        row_label: what the rows are, if not the column's name.
        column_label: what the columns are, if not the column's name.
        ceiling: the largest absolute value that colours tell apart, so that a few wild values
            (a share of next to nothing, say) leave the others visible; none if None.
    """

    rows: str
    columns: str
    unit: str
    where: Mapping[str, Key] = field(default_factory=dict)
    panel: str | None = None
    row_label: str | None = None
    column_label: str | None = None
    ceiling: float | None = None


@dataclass(frozen=True)
class Scatter:
    """A point for every head: one of its values to the right, another one upwards.

    Attributes:
        x: the rows whose values go to the right.
        y: the rows whose values go upwards; heads that share keys and values share the point's y.
        xlabel: what the first value is.
        ylabel: what the second value is.
        unit: the unit of both, written once.
        panel: the column that gets a panel of its own for each value.
        named: how many heads of a panel carry their names, those that ever matter most.
        ceiling: the largest absolute value that the axes reach; what lies beyond is drawn there.
    """

    x: Mapping[str, Key]
    y: Mapping[str, Key]
    xlabel: str
    ylabel: str
    unit: str
    panel: str
    named: int = 6
    ceiling: float = 1.5


@dataclass(frozen=True)
class Circuit:
    """The strongest edges of a model's graph, one panel for each corruption.

    Attributes:
        edges: how many of the strongest edges are chosen before pruning.
        method: which attribution method, if the table holds several.
    """

    edges: int = 30
    method: str | None = None


Plot = Line | Bars | Heatmap | Scatter | Circuit
