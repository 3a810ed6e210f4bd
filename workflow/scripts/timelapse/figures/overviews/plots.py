"""What an overview draws, in words of the tables it reads. Stage: figures.

As with `figures.plots`, nothing here needs a plotting library; `renderers` says how each is drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class WinRates:
    """Win rates of all tasks over the steps."""


@dataclass(frozen=True)
class CircuitSizes:
    """How many edges a circuit needs, over the steps, one panel for each corruption.

    Attributes:
        shares: the measures of circuit quality, and what each is called at its line's end.
        main: the one that stands out.
    """

    shares: Mapping[str, str]
    main: str


@dataclass(frozen=True)
class StepMatrices:
    """A measure of every two checkpoints, one panel for each measure, with its null beside it.

    Attributes:
        measures: of the comparison, and what each panel is called.
        unit: what the colour stands for.
        null: what the null is.
        mark: what the mark of a cell means whose interval reaches the null.
        rows: what stands upwards.
        columns: what runs to the right.
        symmetric: whether (a, b) and (b, a) are the same, so that the table has one of them; the
            rows are the second of each pair.
    """

    measures: Mapping[str, str]
    unit: str
    null: str
    mark: str
    rows: str = "step"
    columns: str = "step"
    symmetric: bool = True


@dataclass(frozen=True)
class CrossTask:
    """How well circuits of other tasks do a task, and how much they overlap, over the steps.

    Attributes:
        overlap: the measure of the overlap.
        overlap_label: what it is.
    """

    overlap: str
    overlap_label: str


@dataclass(frozen=True)
class Trajectories:
    """The scores of heads over the steps.

    Attributes:
        named: how many of those that ever matter most are named.
    """

    named: int = 10


@dataclass(frozen=True)
class WinRateOverlap:
    """Win rate above, overlap with the first checkpoint's circuit below.

    Attributes:
        measure: of the overlap.
        label: what it is.
    """

    measure: str
    label: str


@dataclass(frozen=True)
class LayerChange:
    """How much each part of the model has changed since the first step.

    Attributes:
        prefix: what the names of the measures of all parts begin with.
        unit: of the change.
    """

    prefix: str
    unit: str


@dataclass(frozen=True)
class Transplant:
    """What each head of one end of the run does in the other end.

    Attributes:
        prefix: what the names of the measures of all heads begin with.
        unit: what the colour stands for.
    """

    prefix: str
    unit: str


@dataclass(frozen=True)
class Flips:
    """How many edges differ from the first step's circuit, in parts.

    Attributes:
        measures: of the comparison, and what each is called; the first is the sum of the others.
    """

    measures: Mapping[str, str]


@dataclass(frozen=True)
class FirstLast:
    """The circuits of the first and the last step beside each other.

    Attributes:
        edges: how many of the strongest edges are chosen before pruning.
        method: which attribution method; the first in the table if None.
        corruption: the one that is drawn, or "pooled" for the mean over all.
    """

    edges: int = 30
    method: str | None = None
    corruption: str = "pooled"


@dataclass(frozen=True)
class SharedGraph:
    """The circuits of two tasks in one graph, at the first and at the last step.

    Attributes:
        edges: how many of the strongest edges of each task are chosen before pruning.
        method: which attribution method; the first in the table if None.
        corruption: the one that is drawn, or "pooled" for the mean over all.
        tasks: which two; the first two that the run evaluates if None.
    """

    edges: int = 30
    method: str | None = None
    corruption: str = "pooled"
    tasks: tuple[str, str] | None = field(default=None)


Page = (
    WinRates
    | CircuitSizes
    | StepMatrices
    | CrossTask
    | Trajectories
    | WinRateOverlap
    | LayerChange
    | Transplant
    | Flips
    | FirstLast
    | SharedGraph
)
