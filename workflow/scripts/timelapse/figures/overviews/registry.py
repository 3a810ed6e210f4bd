"""Every picture over a whole run, in one place. Stage: figures.

To add one: give it a name, the tables that it needs, a title and a caption, and a plot of `pages`.
The rule that draws it asks here which tables those are, and where the picture goes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from timelapse import tables
from timelapse.errors import UserError
from timelapse.figures.overviews.plots import (
    CircuitSizes,
    CrossTask,
    FirstLast,
    Flips,
    LayerChange,
    Page,
    SharedGraph,
    StepMatrices,
    Trajectories,
    Transplant,
    WinRateOverlap,
    WinRates,
)

if TYPE_CHECKING:
    from timelapse.study.runs import Run


@dataclass(frozen=True)
class Need:
    """A table that an overview draws from.

    Attributes:
        name: the folder of a probe, whose files are one for each step; or the name of one file.
        schema: its columns.
        of_all_tasks: whether that of every task is needed, and not just of the picture's own.
        ends: whether the first and the last step are enough.
    """

    name: str
    schema: pa.Schema
    of_all_tasks: bool = False
    ends: bool = False

    def paths(self, run: "Run", task: str | None) -> list[str]:
        """The files, task by task."""
        tasks = run.evaluate if self.of_all_tasks or task is None else (task,)
        return [path for name in tasks for path in self._of_task(run, name)]

    def _of_task(self, run: "Run", task: str) -> list[str]:
        if self.name.endswith(".parquet"):
            return [f"results/runs/{run.name}/{task}/{self.name}"]
        files = run.tables(self.name, task)
        return [files[0], files[-1]] if self.ends else files


@dataclass(frozen=True)
class Overview:
    """A picture over a whole run.

    Attributes:
        name: of its file.
        needs: the tables that it draws from.
        title: what it shows, in a few words.
        caption: what else is to be known to read it.
        plot: how it is drawn.
        of_run: whether there is one for the run; else there is one for each task.
        least_tasks: how many tasks a run must evaluate for it.
        options: the fields of the plot that a config may set.
        section: where among the config's figures they are set; under its own name if empty.
    """

    name: str
    needs: tuple[Need, ...]
    title: str
    caption: str
    plot: Page
    of_run: bool = False
    least_tasks: int = 1
    options: tuple[str, ...] = ()
    section: str = ""

    def inputs(self, run: "Run", task: str | None = None) -> list[str]:
        """The files that it needs, without doubles.

        Args:
            run: the run.
            task: the picture's task; None for a picture of the run.
        """
        wanted = (path for need in self.needs for path in need.paths(run, task))
        return list(dict.fromkeys(wanted))

    def output(self, run: str, task: str | None = None) -> str:
        """The picture's file; names may be wildcards."""
        folder = f"results/runs/{run}" if self.of_run else f"results/runs/{run}/{task}"
        return f"{folder}/figures/{self.name}.png"

    def settings(self, figures: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        """Its options in the config's figures."""
        return figures.get(self.section or self.name, {})

    def with_options(self, options: Mapping[str, Any]) -> "Overview":
        """The same overview with some fields of its plot set.

        Raises:
            UserError: the overview has no such option.
        """
        for name in options:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise UserError(
                    "config",
                    f"figures.{self.section or self.name}.{name}",
                    f"the picture {self.name} has no such option",
                    f"Its options are: {known}",
                )
        set_ = {name: value for name, value in options.items() if value is not None}
        return replace(self, plot=replace(self.plot, **set_))


_COMPARISON = Need("comparison.parquet", tables.COMPARISON)
_NULL = "random halves of the prompts of the same checkpoint"
_GRAPH_OPTIONS = ("edges", "method", "corruption")

_ALL = (
    Overview(
        name="win_rate",
        needs=(Need("win_rate", tables.WIN_RATE, of_all_tasks=True),),
        title="Win rate over fine-tuning",
        caption="share of prompts whose most likely next token is the answer"
        " · band: Wilson 95 % interval",
        plot=WinRates(),
        of_run=True,
    ),
    Overview(
        name="circuit_first_last",
        needs=(
            Need("edges", tables.EDGES, ends=True),
            Need("head_roles", tables.HEAD_ROLES, ends=True),
            Need("win_rate", tables.WIN_RATE, ends=True),
        ),
        title="The circuit before and after fine-tuning",
        caption="same places and widths on both sides",
        plot=FirstLast(),
        options=_GRAPH_OPTIONS,
        section="circuit",
    ),
    Overview(
        name="circuit_tasks",
        needs=(Need("edges", tables.EDGES, of_all_tasks=True, ends=True),),
        title="What the circuits of two tasks share",
        caption="before and after fine-tuning",
        plot=SharedGraph(),
        of_run=True,
        least_tasks=2,
        options=_GRAPH_OPTIONS,
        section="circuit",
    ),
    Overview(
        name="circuit_sizes",
        needs=(Need("circuit_quality", tables.CIRCUIT_QUALITY),),
        title="How many edges a faithful circuit needs",
        caption="the smallest circuit that keeps a share of the logit difference"
        " · band: 95 % interval of the size for 80 %",
        plot=CircuitSizes(
            shares={"size_50": "50 %", "size_80": "80 %", "size_90": "90 %", "size_95": "95 %"},
            main="size_80",
        ),
    ),
    Overview(
        name="edge_overlap",
        needs=(_COMPARISON,),
        title="How much the circuits of two checkpoints overlap",
        caption="circuits of matched size · 1: the same edges, 0: as many in common as by chance",
        plot=StepMatrices(
            measures={
                "edge_jaccard_corrected": "edges",
                "signed_edge_jaccard_corrected": "edges with the sign of their scores",
            },
            unit="Jaccard index of the edges, corrected for chance",
            null=_NULL,
            mark="95 % interval reaches the null: as alike as halves of one checkpoint",
        ),
    ),
    Overview(
        name="cross_faithfulness",
        needs=(_COMPARISON,),
        title="How faithful each checkpoint's circuit is inside the others",
        caption="held-out prompts · 0: all edges corrupted, 1: whole model",
        plot=StepMatrices(
            measures={"cross_faithfulness": ""},
            unit="faithfulness",
            null="circuits from random halves of the host's own prompts",
            mark="95 % interval reaches the null: as faithful as the host's own circuit from half"
            " the prompts",
            rows="host: run inside the checkpoint of step",
            columns="circuit of step",
            symmetric=False,
        ),
    ),
    Overview(
        name="cross_task",
        needs=(Need("comparison.parquet", tables.COMPARISON, of_all_tasks=True),),
        title="Does the circuit of one task do the other?",
        caption="held-out prompts · bands: 95 % intervals",
        plot=CrossTask(
            overlap="edge_jaccard_corrected", overlap_label="overlap of the edges (corrected)"
        ),
        of_run=True,
        least_tasks=2,
    ),
    Overview(
        name="head_trajectories",
        needs=(Need("heads.parquet", tables.HEADS),),
        title="What became of every head",
        caption="score: what corrupting all that the head writes does to the logit difference;"
        " below 0 it helps",
        plot=Trajectories(),
        options=("named",),
    ),
    Overview(
        name="win_rate_overlap",
        needs=(Need("win_rate", tables.WIN_RATE), _COMPARISON),
        title="Does the circuit change when the win rate does?",
        caption="bands: 95 % intervals",
        plot=WinRateOverlap(
            measure="edge_jaccard_corrected",
            label="overlap with the first circuit\n(Jaccard index, corrected)",
        ),
    ),
    Overview(
        name="layer_change",
        needs=(_COMPARISON,),
        title="Where the circuit has changed since the first step",
        caption="every edge counts for the part that reads it",
        plot=LayerChange(
            prefix="layer_change:", unit="sum of |change of score|\nover the edges into it (logits)"
        ),
    ),
    Overview(
        name="head_transplant",
        needs=(_COMPARISON,),
        title="Heads moved between the first and the last checkpoint",
        caption="clean prompts; one head's output comes from the other checkpoint",
        plot=Transplant(
            prefix="head_transplant:",
            unit="share of the way to the donor's logit difference\n(0 = host, 1 = donor)",
        ),
    ),
    Overview(
        name="edge_flips",
        needs=(_COMPARISON,),
        title="Edges that came or went since the first step",
        caption="this step's circuit against that of the first, of matched size"
        " · bands: 95 % intervals",
        plot=Flips(
            measures={
                "edge_flips": "all",
                "edge_flips_same_nodes": "between nodes of both circuits",
                "edge_flips_changed_node": "with a node that came or went",
            }
        ),
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


def offered(run: "Run") -> list[Overview]:
    """The overviews that a run can have: those that compare tasks need several of them."""
    return [overview for overview in _ALL if overview.least_tasks <= len(run.evaluate)]


def pictures(run: "Run") -> list[str]:
    """The files of all overviews of a run."""
    return [
        overview.output(run.name, task)
        for overview in offered(run)
        for task in ((None,) if overview.of_run else run.evaluate)
    ]
