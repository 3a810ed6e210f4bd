"""Every picture over a whole run, declared once. Rules, the config and the tests read this.

To add one: an entry here, which names the tables it reads and what draws it, and a test. A new kind
of drawing is a function in a module of its own beside this one; it is given the tables, and by
keyword the entry's `arguments` and its options, and returns a figure that leaves `style.HEADER`
inches at its top for title and caption. Nothing heavy is imported here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from timelapse.errors import UserError
from timelapse.figures.options import (
    CircuitOptions,
    FigureOptions,
    HeadTrajectoriesOptions,
    MetricWords,
    checked_options,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from timelapse.figures.figure_tables import InputTables


@runtime_checkable
class EvaluatedRun(Protocol):
    """What must be known of a run to say which overviews it has.

    Attributes:
        name: of the run.
        evaluate: the tasks on which it is measured.
    """

    name: str
    evaluate: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """A picture over a whole run.

    In `title`, `caption` and `arguments`, `{metric}` and `{unit}` stand for the name and unit of
    the task's metric.

    Attributes:
        name: of its file.
        tables: the tables that it draws from.
        title: what it shows, in a few words.
        caption: what else is to be known to read it.
        drawing: import path of the function that draws it.
        arguments: of that function.
        options: what a study can set.
        section: where among the config's `figures` that is set; under its own name if empty.
        of_run: whether there is one for the run, from the tables of all tasks that it evaluates;
            else there is one for each task.
        ends_only: whether it shows the first and the last step alone.
        least_tasks: how many tasks a run must evaluate for it.
    """

    name: str
    tables: tuple[str, ...]
    title: str
    caption: str
    drawing: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    options: type[FigureOptions] = FigureOptions
    section: str = ""
    of_run: bool = False
    ends_only: bool = False
    least_tasks: int = 1

    def draw(
        self, tables: "InputTables", options: Mapping[str, Any], metric: MetricWords
    ) -> "Figure":
        """The picture without title and caption.

        Raises:
            UserError: an unknown option, or a table that cannot be used.
        """
        settings = checked_options(self.options, options, self.section or self.name)
        figure: Figure = resolve_name(self.drawing)(
            tables, **metric.fill(dict(self.arguments)), **settings
        )
        return figure

    def output(self, run: str, task: str) -> str:
        """The picture's file."""
        folder = f"results/runs/{run}" if self.of_run else f"results/runs/{run}/{task}"
        return f"{folder}/figures/{self.name}.png"

    def settings(self, figures: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        """Its options in the config's figures."""
        return figures.get(self.section or self.name, {})


_OVERVIEWS = "timelapse.figures.overviews."
_NULL = "random halves of the prompts of the same checkpoint"
_SCORE = "change of the {metric} ({unit}) when the edge is corrupted"

_ALL = (
    Overview(
        name="win_rate",
        tables=("win_rate",),
        title="Win rate over fine-tuning",
        caption="share of prompts whose most likely next token is the answer"
        " · band: Wilson 95 % interval",
        drawing=_OVERVIEWS + "step_lines:win_rate_figure",
        of_run=True,
    ),
    Overview(
        name="circuit_first_last",
        tables=("edges", "head_roles", "win_rate"),
        title="The circuit before and after fine-tuning",
        caption="same places and widths on both sides",
        drawing=_OVERVIEWS + "graphs:first_last_figure",
        arguments={"score": _SCORE},
        options=CircuitOptions,
        section="circuit",
        ends_only=True,
    ),
    Overview(
        name="circuit_tasks",
        tables=("edges",),
        title="What the circuits of two tasks share",
        caption="before and after fine-tuning",
        drawing=_OVERVIEWS + "graphs:shared_graph_figure",
        options=CircuitOptions,
        section="circuit",
        of_run=True,
        ends_only=True,
        least_tasks=2,
    ),
    Overview(
        name="circuit_sizes",
        tables=("circuit_quality",),
        title="How many edges a faithful circuit needs",
        caption="the smallest circuit that keeps a share of the {metric}"
        " · band: 95 % interval of the size for 80 %",
        drawing=_OVERVIEWS + "circuit_sizes:circuit_sizes_figure",
        arguments={
            "shares": {"size_50": "50 %", "size_80": "80 %", "size_90": "90 %", "size_95": "95 %"},
            "main": "size_80",
            "note": "share of the {metric} that is kept, at the line's end · pruned circuits on"
            " held-out prompts · gap: no circuit that was evaluated keeps so much",
        },
    ),
    Overview(
        name="edge_overlap",
        tables=("comparison",),
        title="How much the circuits of two checkpoints overlap",
        caption="circuits of matched size · 1: the same edges, 0: as many in common as by chance",
        drawing=_OVERVIEWS + "matrices:step_matrices_figure",
        arguments={
            "measures": {
                "edge_jaccard_corrected": "edges",
                "signed_edge_jaccard_corrected": "edges with the sign of their scores",
            },
            "unit": "Jaccard index of the edges, corrected for chance",
            "null": _NULL,
            "mark": "95 % interval reaches the null: as alike as halves of one checkpoint",
        },
    ),
    Overview(
        name="cross_faithfulness",
        tables=("comparison",),
        title="How faithful each checkpoint's circuit is inside the others",
        caption="held-out prompts · 0: all edges corrupted, 1: whole model",
        drawing=_OVERVIEWS + "matrices:step_matrices_figure",
        arguments={
            "measures": {"cross_faithfulness": ""},
            "unit": "faithfulness",
            "null": "circuits from random halves of the evaluated checkpoint's own prompts",
            "mark": "95 % interval reaches the null: as faithful as the checkpoint's own circuit"
            " from half the prompts",
            "rows": "evaluated in the checkpoint of step",
            "columns": "circuit of step",
            "symmetric": False,
        },
    ),
    Overview(
        name="cross_task",
        tables=("comparison",),
        title="Does the circuit of one task do the other?",
        caption="held-out prompts · bands: 95 % intervals",
        drawing=_OVERVIEWS + "cross_task:cross_task_figure",
        arguments={
            "overlap": "edge_jaccard_corrected",
            "overlap_label": "overlap of the edges (corrected)",
        },
        of_run=True,
        least_tasks=2,
    ),
    Overview(
        name="head_trajectories",
        tables=("heads",),
        title="What became of every head",
        caption="score: what corrupting all that the head writes does to the {metric};"
        " below 0 it helps",
        drawing=_OVERVIEWS + "step_lines:trajectories_figure",
        arguments={"ylabel": "score of the head ({unit}; below 0 it helps)"},
        options=HeadTrajectoriesOptions,
    ),
    Overview(
        name="win_rate_overlap",
        tables=("win_rate", "comparison"),
        title="Does the circuit change when the win rate does?",
        caption="bands: 95 % intervals",
        drawing=_OVERVIEWS + "step_lines:win_rate_overlap_figure",
        arguments={
            "measure": "edge_jaccard_corrected",
            "label": "overlap with the first circuit\n(Jaccard index, corrected)",
        },
    ),
    Overview(
        name="layer_change",
        tables=("comparison",),
        title="Where the circuit has changed since the first step",
        caption="every edge counts for the part that reads it",
        drawing=_OVERVIEWS + "matrices:layer_change_figure",
        arguments={
            "prefix": "layer_change:",
            "unit": "sum of |change of score|\nover the edges into it ({unit})",
        },
    ),
    Overview(
        name="head_transplant",
        tables=("comparison",),
        title="Heads moved between the first and the last checkpoint",
        caption="clean prompts; one head's output comes from the other checkpoint",
        drawing=_OVERVIEWS + "matrices:transplant_figure",
        arguments={
            "prefix": "head_transplant:",
            "unit": "share of the way to the source's {metric}\n(0 = this checkpoint, 1 = source)",
        },
    ),
    Overview(
        name="edge_flips",
        tables=("comparison",),
        title="Edges that came or went since the first step",
        caption="this step's circuit against that of the first, of matched size"
        " · bands: 95 % intervals",
        drawing=_OVERVIEWS + "step_lines:flips_figure",
        arguments={
            "measures": {
                "edge_flips": "all",
                "edge_flips_same_nodes": "between nodes of both circuits",
                "edge_flips_changed_node": "with a node that came or went",
            }
        },
    ),
)

OVERVIEWS: Mapping[str, Overview] = {overview.name: overview for overview in _ALL}


def overview_named(name: str) -> Overview:
    """The overview of this name.

    Raises:
        UserError: there is none.
    """
    if name not in OVERVIEWS:
        raise UserError(
            "config",
            "figures",
            f"no overview is called {name!r}",
            f"Choose among {', '.join(OVERVIEWS)}",
        )
    return OVERVIEWS[name]


def offered(run: EvaluatedRun) -> list[Overview]:
    """The overviews that a run can have: those that compare tasks need several of them."""
    return [overview for overview in _ALL if overview.least_tasks <= len(run.evaluate)]


def pictures(run: EvaluatedRun) -> list[str]:
    """The files of all overviews of a run."""
    return [
        overview.output(run.name, task)
        for overview in offered(run)
        for task in ((run.evaluate[0],) if overview.of_run else run.evaluate)
    ]
