"""A run in short: what it did to the circuit, head by head, and whether other seeds agree.

Stage: circuits. Free of torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.circuits.comparison.heads import LABELS
from timelapse.circuits.comparison.verdict import (
    Estimate,
    Verdict,
    ends,
    estimate,
    percent,
    verdict,
)
from timelapse.circuits.reading import read_table
from timelapse.errors import UserError
from timelapse.tables import COMPARISON, HEADS, SUMMARY, WIN_RATE

FIRST_TO_LAST = (
    "edge_jaccard",
    "edge_jaccard_corrected",
    "signed_edge_jaccard_corrected",
    "node_jaccard",
    "score_spearman",
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
        source = f"results/runs/{self.run}/{self.task}/comparison.parquet"
        return tuple(verdict(own, base, self.task, source) for base in others)

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
        found.setdefault(run, {}).setdefault(task, []).append(read_table(path, schema))
    return {
        run: {task: pa.concat_tables(tables) for task, tables in tasks.items()}
        for run, tasks in found.items()
    }


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


def summary_text(run: RunTables, repeats: Iterable[RunTables]) -> str:
    """The summary as Markdown, the verdict first.

    Args:
        run: the run.
        repeats: the same with other seeds; may be none.
    """
    parts = [
        f"# {run.run}: what learning {run.task} did to the circuit",
        "\n\n".join(_sentence(judged) for judged in run.verdicts)
        or f"No task but {run.task} was evaluated: nothing to say about circuits that were there.",
        _win_rates(run),
        _overlaps(run),
        *(_heads(run, task) for task in sorted(run.heads, key=lambda task: task != run.task)),
    ]
    others = list(repeats)
    if others:
        parts.append(_spread([run, *others]))
    return "\n\n".join(parts) + "\n"


def _sentence(judged: Verdict) -> str:
    return (
        f"{judged.sentence} On a scale from 0, that random circuit, to 1, those halves, the share "
        f"is {judged.relative.value:.2f} ({_range(judged.relative)}). Edges that act the same way "
        f"in both circuits, helping or hindering, carry {percent(judged.same_sign.value)} %. "
        f"Before learning, the model's {judged.task} circuit had {percent(judged.before.value)} % "
        "of its weight there."
    )


def _win_rates(run: RunTables) -> str:
    lines = ["| win rate on | before | after |", "|---|---|---|"]
    for task in run.win_rates:
        before, after = (
            f"{percent(rate.value)} % ({percent(rate.low)}–{percent(rate.high)})"
            for rate in run.win_rate(task)
        )
        lines.append(f"| {task} | {before} | {after} |")
    return "\n".join(lines)


def _overlaps(run: RunTables) -> str:
    lines = [
        "First against last checkpoint (95 % interval; *halves*: the same measure between halves "
        "of one checkpoint's prompts):",
        "",
        "| task | measure | value | halves |",
        "|---|---|---|---|",
    ]
    for task in run.comparisons:
        for measure in FIRST_TO_LAST:
            found = run.overlap(measure, task)
            if found is not None:
                null = "–" if found.null != found.null else f"{found.null:.2f}"
                name = measure.replace("_", " ")
                lines.append(f"| {task} | {name} | {found.value:.2f} ({_range(found)}) | {null} |")
    return "\n".join(lines)


def _heads(run: RunTables, task: str) -> str:
    found = run.labelled_heads(task)
    if not found:
        return f"No head has an effect on {task}."
    others = {other: run.head_scores(other) for other in run.heads if other != task}
    lines = [
        f"Heads on {task} (score: what corrupting all that the head writes does to the logit "
        "difference; negative, it helps):",
        "",
        "| head | label | before | after |" + "".join(f" before, on {name} |" for name in others),
        "|---|---|---|---|" + "---|" * len(others),
    ]
    for name, label, before, after in found:
        elsewhere = "".join(f" {scores[name]:+.2f} |" for scores in others.values())
        lines.append(f"| {name} | {label} | {before:+.2f} | {after:+.2f} |{elsewhere}")
    return "\n".join(lines)


def _spread(runs: list[RunTables]) -> str:
    lines = [
        f"The same with other seeds ({len(runs)} runs):",
        "",
        f"| run | base task | verdict | share | relative | win rate on {runs[0].task} |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        rates = run.win_rate(run.task) if run.task in run.win_rates else ()
        won = " → ".join(f"{percent(rate.value)} %" for rate in rates) or "–"
        for judged in run.verdicts:
            share = f"{percent(judged.share.value)} %"
            relative = f"{judged.relative.value:.2f} ({_range(judged.relative)})"
            lines.append(
                f"| {run.run} | {judged.base} | {judged.word} | {share} | {relative} | {won} |"
            )
    lines.append("")
    for base in dict.fromkeys(judged.base for run in runs for judged in run.verdicts):
        shares = [
            judged.share.value for run in runs for judged in run.verdicts if judged.base == base
        ]
        lines.append(
            f"Share on edges of the {base} circuit: {percent(min(shares))} % to "
            f"{percent(max(shares))} % over {len(shares)} seeds."
        )
    return "\n".join(lines)


def _range(found: Estimate) -> str:
    return f"{found.low:.2f} to {found.high:.2f}"
