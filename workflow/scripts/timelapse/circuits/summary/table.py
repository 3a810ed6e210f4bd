"""The summary of runs as a table."""

from collections.abc import Iterable, Mapping
from math import isfinite, nan
from statistics import fmean
from typing import Any

import pyarrow as pa

from timelapse.circuits.comparison.heads import LABELS
from timelapse.circuits.comparison.verdict import Estimate
from timelapse.circuits.summary.runs import FIRST_TO_LAST, RunTables
from timelapse.tables import SUMMARY


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
            count = _alone(labels.count(label))
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
