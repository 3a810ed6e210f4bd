"""The tables that a summary is made of: those of a run, and of its repeats with other seeds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.circuits.comparison.heads import LABELS
from timelapse.circuits.comparison.verdict import Estimate, Verdict, ends, estimate, verdict
from timelapse.errors import UserError
from timelapse.files.parquet import read
from timelapse.tables import COMPARISON, HEADS, SUMMARY, WIN_RATE

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
        win_rates: paths runs/{run}/{task}/win_rate/{part}.parquet, in any number.

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


def summary_table(runs: Iterable[RunTables]) -> pa.Table:
    """`tables.SUMMARY`: the same rows for the run, which comes first, and each of its repeats.

    Measures are `weight_share:BASE`, `weight_share_same_sign:BASE`, `weight_share_chance:BASE` and
    `weight_share_relative:BASE`, from the first circuit of the task BASE to the last of `task`, and
    `weight_share_before:BASE`, to its first; `edge_jaccard_corrected:BASE` of the same circuits as
    `weight_share`; `weight_share_control:NAME`, from the first circuit of a control;
    `MEASURE:first_last` for those of `FIRST_TO_LAST`; `win_rate:first`, `win_rate:last`; and
    `heads:LABEL`, how many heads have it at the last step. If there are repeats, `MEASURE:min`,
    `MEASURE:max` and `MEASURE:mean` of all these, with the name of the run, are over it and them.
    """
    everyone = list(runs)
    rows = [row for run in everyone for row in _rows(run)]
    spread = _spread(rows, everyone[0].run) if len(everyone) > 1 else []
    return pa.Table.from_pylist(rows + spread, schema=SUMMARY)


def _rows(run: RunTables) -> list[dict[str, Any]]:
    rows = []
    for judged in run.verdicts:
        chance = _alone(judged.chance)
        for name, found in (
            ("weight_share", judged.share),
            ("weight_share_same_sign", judged.same_sign),
            ("weight_share_before", judged.before),
            ("weight_share_chance", chance),
            ("weight_share_relative", judged.relative),
            ("edge_jaccard_corrected", judged.jaccard),
        ):
            rows.append(_row(run.run, run.task, f"{name}:{judged.base}", found))
    for name, found in run.verdicts[0].controls.items() if run.verdicts else ():
        rows.append(_row(run.run, run.task, f"weight_share_control:{name}", found))
    for task in run.comparisons:
        for measure in FIRST_TO_LAST:
            overlap = run.overlap(measure, task)
            if overlap is not None:
                rows.append(_row(run.run, task, f"{measure}:first_last", overlap))
    for task in run.win_rates:
        for name, rate in zip(("first", "last"), run.win_rate(task), strict=True):
            rows.append(_row(run.run, task, f"win_rate:{name}", rate))
    for task in run.heads:
        labels = [label for _, label, *_ in run.labelled_heads(task)]
        for label in filter(None, LABELS):
            count = _alone(float(labels.count(label)))
            rows.append(_row(run.run, task, f"heads:{label}", count))
    return rows


def _spread(rows: Iterable[Mapping[str, Any]], run: str) -> list[dict[str, Any]]:
    """The least, the largest and the mean value of every measure that any run has."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if isfinite(row["value"]):
            values.setdefault((row["task"], row["measure"]), []).append(row["value"])
    return [
        _row(run, task, f"{measure}:{name}", _alone(value))
        for (task, measure), found in values.items()
        for name, value in (
            ("min", min(found)),
            ("max", max(found)),
            ("mean", fmean(found)),
        )
    ]


def _alone(value: float) -> Estimate:
    """A value without an interval."""
    return Estimate(value, nan, nan, nan)


def _row(run: str, task: str, measure: str, found: Estimate) -> dict[str, Any]:
    return {
        "run": run,
        "task": task,
        "measure": measure,
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "null_mean": found.null,
    }
