"""The summary of a run as Markdown."""

from collections.abc import Iterable

from timelapse.circuits.comparison.verdict import Estimate, Verdict, number, percent
from timelapse.circuits.summary import FIRST_TO_LAST, RunTables


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
        f"{judged.sentence} {judged.context} On a scale from 0, that random circuit, to 1, those "
        f"halves, the share is {number(judged.relative.value)} ({_range(judged.relative)}). Edges "
        "that act the same way in both circuits, helping or hindering, carry "
        f"{percent(judged.same_sign.value)} %."
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
                name, value = measure.replace("_", " "), number(found.value)
                null = number(found.null)
                lines.append(f"| {task} | {name} | {value} ({_range(found)}) | {null} |")
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
            relative = f"{number(judged.relative.value)} ({_range(judged.relative)})"
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
    return f"{number(found.low)} to {number(found.high)}"
