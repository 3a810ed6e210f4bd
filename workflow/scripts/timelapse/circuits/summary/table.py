"""The summary of runs as a table."""

from collections.abc import Iterable

import pyarrow as pa

from timelapse.circuits.comparison.heads import LABELS
from timelapse.circuits.comparison.verdict import Estimate
from timelapse.circuits.summary.runs import FIRST_TO_LAST, RunTables
from timelapse.tables import SUMMARY


def summary_table(runs: Iterable[RunTables]) -> pa.Table:
    """`tables.SUMMARY`: the same rows for the run and each of its repeats.

    Measures are `weight_share:BASE`, `weight_share_same_sign:BASE`, `weight_share_chance:BASE` and
    `weight_share_relative:BASE`, from the first circuit of the task BASE to the last of `task`, and
    `weight_share_before:BASE`, to its first;
    `MEASURE:first_last` for those of `FIRST_TO_LAST`; `win_rate:first`, `win_rate:last`; and
    `heads:LABEL`, how many heads have it at the last step.
    """
    rows = []
    for run in runs:
        for judged in run.verdicts:
            chance = Estimate(judged.chance, *[float("nan")] * 3)
            for name, found in (
                ("weight_share", judged.share),
                ("weight_share_same_sign", judged.same_sign),
                ("weight_share_before", judged.before),
                ("weight_share_chance", chance),
                ("weight_share_relative", judged.relative),
            ):
                rows.append(_row(run.run, run.task, f"{name}:{judged.base}", found))
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
                count = Estimate(labels.count(label), *[float("nan")] * 3)
                rows.append(_row(run.run, task, f"heads:{label}", count))
    return pa.Table.from_pylist(rows, schema=SUMMARY)


def _row(run: str, task: str, measure: str, found: Estimate) -> dict[str, object]:
    return {
        "run": run,
        "task": task,
        "measure": measure,
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "null_mean": found.null,
    }
