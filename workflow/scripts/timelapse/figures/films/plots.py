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
        wrap: the most panels beside each other; all if None.
    """

    rows: str
    columns: str
    unit: str
    where: Mapping[str, Key] = field(default_factory=dict)
    panel: str | None = None
    row_label: str | None = None
    column_label: str | None = None
    ceiling: float | None = None
    wrap: int | None = None


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
        method: which attribution method; the first in the table if None.
        corruption: the one corruption that is drawn, or "pooled" for the mean over all; each in a
            panel of its own if None.
    """

    edges: int = 30
    method: str | None = None
    corruption: str | None = None


@dataclass(frozen=True)
class Curves:
    """Several lines over named places, with their 95 % bands, in panels that differ in the measure.

    Attributes:
        x: the column whose labels go along the axis.
        order: the column that sorts the labels.
        xlabel: what the labels are.
        series: the column that tells lines apart, and what each is called in the legend.
        panel: the column of measures, and what each is, with its unit.
        ranks: the measures that are ranks: drawn on a logarithmic axis with 1 on top.
    """

    x: str
    order: str
    xlabel: str
    series: tuple[str, Mapping[str, str]]
    panel: tuple[str, Mapping[str, str]]
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """The heads with the largest values: lines over the steps, and their order at each step.

    Attributes:
        ylabel: what the value is, with its unit.
        top: how many heads are told apart by colour and listed, 7 at most.
    """

    ylabel: str
    top: int = 7


@dataclass(frozen=True)
class Roles:
    """Which heads hold which role over the steps.

    Attributes:
        top: the most heads that are shown for a role, the strongest.
    """

    top: int = 8


@dataclass(frozen=True)
class SizeCurves:
    """What circuits keep, over their sizes: a panel for each measure, a line for each corruption.

    Attributes:
        x: the column of sizes, on a logarithmic axis.
        xlabel: what the sizes are.
        panel: the columns of measures, and what each is.
        interval: the measure that has an interval, in ci_low and ci_high.
        reach: the lowest and highest value that the axes show.
    """

    x: str
    xlabel: str
    panel: Mapping[str, str]
    interval: str
    reach: tuple[float, float] = (-0.5, 1.6)


Plot = Line | Bars | Heatmap | Scatter | Circuit | Curves | Ranking | Roles | SizeCurves
