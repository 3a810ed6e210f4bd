"""A run in short: the verdict first, then what it stands on; and other seeds beside it."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from timelapse.circuits.summary import RunTables, collect, summary_table
from timelapse.circuits.summary_markdown import summary_text
from timelapse.errors import UserError
from timelapse.tables import COMPARISON, HEADS, SUMMARY, WIN_RATE

FIRST, LAST = 0, 184
SPREAD = (":min", ":max", ":mean")


def write(
    folder: Path,
    run: str,
    share: float,
    bases: tuple[str, ...] = ("ioi2",),
    control: float | None = None,
) -> None:
    """The tables of a run that learned ioi3."""
    for task in ("ioi3", *bases):
        tables = folder / "runs" / run / task
        (tables / "win_rate").mkdir(parents=True)
        pq.write_table(_comparison(task, share, bases, control), tables / "comparison.parquet")
        pq.write_table(_heads(task), tables / "heads.parquet")
        for step, rate in ((FIRST, 0.4), (LAST, 0.9)):
            pq.write_table(_win_rate(step, rate), tables / f"win_rate/step-{step:06d}.parquet")


def _comparison(task: str, share: float, bases: tuple[str, ...], control: float | None) -> pa.Table:
    def row(
        measure: str,
        value: float,
        task_a: str = task,
        steps: tuple[int, int] = (FIRST, LAST),
        null: float | None = 0.9,
    ) -> Mapping[str, object]:
        low, high = value - 0.05, value + 0.05
        names = ("step_a", "step_b", "task_a", "task_b", "measure", "value", "ci_low", "ci_high")
        cells = (*steps, task_a, task, measure, value, low, high)
        return {**dict(zip(names, cells, strict=True)), "null_mean": null}

    rows = [
        row("edge_jaccard", 0.5),
        row("score_cosine", 0.8),
        row("edge_jaccard_corrected", 0.45),
        row("cross_faithfulness", 0.7, null=None),
        row("weight_share", 1.0, steps=(LAST, LAST), null=0.91),
        row("weight_share", 0.99),
    ]
    if task == "ioi3":
        for base in bases:
            rows += [
                row("weight_share", share, base),
                row("weight_share", 0.25, base, steps=(FIRST, FIRST)),
                row("weight_share_same_sign", share - 0.1, base),
                row("weight_share_chance", 0.06, base),
                row("weight_share_relative", (share - 0.06) / 0.85, base, null=1.0),
                row("edge_jaccard_corrected", 0.39, base, null=0.88),
            ]
        if control is not None:
            rows.append(row("weight_share", control, "months"))
    return pa.Table.from_pylist(rows, schema=COMPARISON)


def _heads(task: str) -> pa.Table:
    course = {
        0: (-1.0, -1.1, "kept"),
        1: (0.0, -2.0, "added") if task == "ioi3" else (-3.0, -2.0, "weakened"),
        2: (0.0, 0.0, ""),
    }
    rows = [
        {"step": step, "layer": 1, "head": head, "score": score, "label": label}
        for head, (before, after, word) in course.items()
        for step, score, label in ((FIRST, before, "kept" if before else ""), (LAST, after, word))
    ]
    return pa.Table.from_pylist(rows, schema=HEADS)


def _win_rate(step: int, rate: float) -> pa.Table:
    row = {"step": step, "win_rate": rate, "ci_low": rate - 0.1, "ci_high": rate + 0.1}
    return pa.Table.from_pylist([row], schema=WIN_RATE)


def read(folder: Path) -> dict[str, RunTables]:
    return collect(
        "ioi3",
        sorted(folder.glob("runs/*/*/comparison.parquet")),
        sorted(folder.glob("runs/*/*/heads.parquet")),
        sorted(folder.glob("runs/*/*/win_rate/*.parquet"), reverse=True),
    )


def test_the_sentence_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.83)
    text = summary_text(read(tmp_path)["two_to_three"], [])
    assert text.splitlines()[2].startswith(
        "**Transformed**: 83 % (95 % interval 78–88 %) of the weight of the final ioi3 circuit "
        "lies on edges that were already in the base model's ioi2 circuit; two halves of the same "
        "final prompts share 91 %, a random circuit of that size 6 %. There is no "
        "control task to hold it against; before learning, the model's ioi3 circuit had 25 % of "
        "its weight on the ioi2 circuit; the chance-corrected Jaccard index of the two circuits is "
        "0.39 (0.34 to 0.44), of halves 0.88. On a scale from 0"
    )
    assert text.splitlines()[2].endswith("helping or hindering, carry 73 %.")


def test_a_task_that_was_not_evaluated_is_a_control(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.83, control=0.75)
    run = read(tmp_path)["two_to_three"]
    (judged,) = run.verdicts
    assert (judged.base, list(judged.controls), judged.word) == ("ioi2", ["months"], "undecided")
    rows = {row["measure"]: row for row in summary_table([run]).to_pylist()}
    assert rows["weight_share_control:months"]["value"] == pytest.approx(0.75)
    assert rows["edge_jaccard_corrected:ioi2"]["null_mean"] == pytest.approx(0.88)
    assert "lies 75 % (months, 70–80 %) of it" in summary_text(run, [])


def test_win_rates_overlaps_and_heads_follow(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.83)
    lines = summary_text(read(tmp_path)["two_to_three"], []).splitlines()
    assert "| ioi3 | 40 % (30–50) | 90 % (80–100) |" in lines
    assert "| ioi2 | edge jaccard | 0.50 (0.45 to 0.55) | 0.90 |" in lines
    assert "| ioi3 | cross faithfulness | 0.70 (0.65 to 0.75) | – |" in lines
    heads = [line for line in lines if line.startswith("| a1.h")]
    assert heads == [
        "| a1.h1 | added | +0.00 | -2.00 | -3.00 |",
        "| a1.h0 | kept | -1.00 | -1.10 | -1.00 |",
        "| a1.h1 | weakened | -3.00 | -2.00 | +0.00 |",
        "| a1.h0 | kept | -1.00 | -1.10 | -1.00 |",
    ]
    assert "seeds" not in "\n".join(lines)


def test_there_is_one_sentence_for_every_other_task(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.3, bases=("ioi2", "months"))
    text = summary_text(read(tmp_path)["two_to_three"], [])
    assert text.count("**Added**: 30 %") == 2
    assert "base model's ioi2 circuit" in text and "base model's months circuit" in text


def test_a_run_that_was_measured_on_its_own_task_alone_has_no_sentence(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.3, bases=())
    text = summary_text(read(tmp_path)["two_to_three"], [])
    assert "**" not in text and "No task but ioi3 was evaluated" in text


def test_repeats_stand_beside_the_run_with_their_spread(tmp_path: Path) -> None:
    for run, share in (("two_to_three", 0.83), ("seed1", 0.3), ("seed2", 0.61)):
        write(tmp_path, run, share)
    runs = read(tmp_path)
    text = summary_text(runs.pop("two_to_three"), runs.values())
    assert "| seed1 | ioi2 | added | 30 % | 0.28 (0.23 to 0.33) | 40 % → 90 % |" in text
    assert "Share on edges of the ioi2 circuit: 30 % to 83 % over 3 seeds." in text


def test_the_table_has_the_same_rows_for_every_run(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.83)
    write(tmp_path, "seed1", 0.3)
    runs = read(tmp_path)
    table = summary_table([runs["two_to_three"], runs["seed1"]])
    assert table.schema == SUMMARY
    of_each = [
        {
            (row["task"], row["measure"]): row
            for row in table.filter(pc.equal(table["run"], run)).to_pylist()
        }
        for run in ("two_to_three", "seed1")
    ]
    measures = {(task, name) for task, name in of_each[0] if not name.endswith(SPREAD)}
    assert measures == of_each[1].keys() and len(table) == 5 * len(measures)
    spread = [
        of_each[0]["ioi3", f"weight_share:ioi2:{name}"]["value"] for name in ("min", "max", "mean")
    ]
    assert spread == pytest.approx([0.3, 0.83, 0.565])
    alone = summary_table([read(tmp_path)["seed1"]])
    assert len(alone) == len(measures)
    share = of_each[0]["ioi3", "weight_share:ioi2"]
    assert [share[name] for name in ("value", "ci_low", "ci_high", "null_mean")] == pytest.approx(
        [0.83, 0.78, 0.88, 0.91]
    )
    assert of_each[0]["ioi3", "weight_share_before:ioi2"]["value"] == pytest.approx(0.25)
    assert of_each[1]["ioi3", "weight_share:ioi2"]["value"] == pytest.approx(0.3)
    assert of_each[0]["ioi2", "win_rate:last"]["value"] == pytest.approx(0.9)
    assert of_each[0]["ioi3", "heads:added"]["value"] == 1
    assert of_each[0]["ioi3", "heads:lost"]["value"] == 0
    assert of_each[0]["ioi3", "edge_jaccard_corrected:first_last"]["value"] == pytest.approx(0.45)


def test_a_run_without_a_comparison_of_its_own_task_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "two_to_three", 0.83)
    (tmp_path / "runs/two_to_three/ioi3/comparison.parquet").unlink()
    with pytest.raises(UserError, match="two_to_three: ioi3: the learned task is not compared"):
        summary_text(read(tmp_path)["two_to_three"], [])
