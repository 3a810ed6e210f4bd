"""The tables that a summary is made of: those of a run, and of its repeats with other seeds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.circuits.comparison.verdict import Estimate, Verdict, ends, estimate, verdict
from timelapse.errors import UserError
from timelapse.files.parquet import read
from timelapse.tables import COMPARISON, HEADS, WIN_RATE

FIRST_TO_LAST = (
    "edge_jaccard",
    "edge_jaccard_corrected",
    "signed_edge_jaccard_corrected",
    "node_jaccard",
    "score_spearman",
    "score_cosine",
    "cross_faithfulness",
)
"""What the summary takes from the comparison of the first with the last checkpoint."""


@dataclass(frozen=True)
class RunTables:
    """The tables of one run.

    Attributes:
        run: its name.
        task: the task that it learned.
        comparisons: `tables.COMPARISON` of every evaluated task.
        heads: `tables.HEADS` likewise.
        win_rates: `tables.WIN_RATE` likewise, all steps.
    """

    run: str
    task: str
    comparisons: Mapping[str, pa.Table]
    heads: Mapping[str, pa.Table]
    win_rates: Mapping[str, pa.Table]

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for every other task that was evaluated.

        Tasks that the learned task was compared with but that were not evaluated are controls.

        Raises:
            UserError: there is no comparison of the learned task.
        """
        own = self.comparisons.get(self.task)
        if own is None:
            raise UserError(
                f"results/runs/{self.run}",
                self.task,
                "the learned task is not compared",
                "Evaluate the run on it",
            )
        others = [name for name in pc.unique(own["task_a"]).to_pylist() if name != self.task]
        bases = [name for name in others if name in self.comparisons]
        controls = [name for name in others if name not in self.comparisons]
        source = f"results/runs/{self.run}/{self.task}/comparison.parquet"
        return tuple(verdict(own, base, self.task, controls, source) for base in bases)

    def overlap(self, measure: str, task: str) -> Estimate | None:
        """A measure between the first and the last checkpoint on a task, if it was taken."""
        table = self.comparisons[task]
        return estimate(table, measure, ends(table), (task, task))

    def win_rate(self, task: str) -> tuple[Estimate, Estimate]:
        """At the first and the last checkpoint, with Wilson intervals."""
        rows = self.win_rates[task].sort_by("step").to_pylist()
        first, last = (
            Estimate(row["win_rate"], row["ci_low"], row["ci_high"], float("nan"))
            for row in (rows[0], rows[-1])
        )
        return first, last

    def labelled_heads(self, task: str) -> list[tuple[str, str, float, float]]:
        """Name, label at the last step, and scores at the first and last, the strongest first."""
        before = self.head_scores(task)
        table = self.heads[task]
        last = table.filter(pc.equal(table["step"], pc.max(table["step"])))
        found = [
            (name, row["label"], before[name], row["score"])
            for row in last.to_pylist()
            if row["label"] and (name := _name(row))
        ]
        return sorted(found, key=lambda head: -max(abs(head[2]), abs(head[3])))

    def head_scores(self, task: str) -> dict[str, float]:
        """The score of every head at the first step."""
        table = self.heads[task]
        first = table.filter(pc.equal(table["step"], pc.min(table["step"])))
        return {_name(row): row["score"] for row in first.to_pylist()}


def _name(row: Mapping[str, object]) -> str:
    return f"a{row['layer']}.h{row['head']}"


def collect(
    task: str,
    comparisons: Iterable[str | Path],
    heads: Iterable[str | Path],
    win_rates: Iterable[str | Path],
) -> dict[str, RunTables]:
    """The tables of a run and of its repeats, told apart by their paths.

    Args:
        task: the task that the runs learned.
        comparisons: paths runs/{run}/{task}/comparison.parquet.
        heads: paths runs/{run}/{task}/heads.parquet.
        win_rates: paths runs/{run}/{task}/win_rate/step-{step}.parquet, in any number.

    Raises:
        UserError: a file cannot be read.
    """
    compared = _by_run(comparisons, COMPARISON, above=1)
    labelled = _by_run(heads, HEADS, above=1)
    won = _by_run(win_rates, WIN_RATE, above=2)
    return {
        run: RunTables(run, task, tables, labelled.get(run, {}), won.get(run, {}))
        for run, tables in compared.items()
    }


def _by_run(
    paths: Iterable[str | Path], schema: pa.Schema, above: int
) -> dict[str, dict[str, pa.Table]]:
    found: dict[str, dict[str, list[pa.Table]]] = {}
    for path in map(Path, paths):
        task, run = (path.parents[above + up - 1].name for up in (0, 1))
        found.setdefault(run, {}).setdefault(task, []).append(read(path, schema))
    return {
        run: {task: pa.concat_tables(tables) for task, tables in tasks.items()}
        for run, tasks in found.items()
    }
