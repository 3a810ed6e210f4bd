"""The scripts of comparison, summary and export, on tables of a small run."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from circuits.comparison.handmade import FOUR_HEADS, path, row, samples_of
from circuits.edge_tables import write_edges

from timelapse.provenance import SCRIPTS
from timelapse.tables import COMPARISON, HEADS, SUMMARY, WIN_RATE

STEPS = (0, 8)
TASKS = ["ioi3", "ioi2"]
CONTROL = "months"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with edges and their samples."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    folder = tmp_path / "results" / "runs" / "two_to_three"
    for number, task in enumerate(TASKS):
        mean = row(FOUR_HEADS, path("a0.h0", "a1.h0", score=-2.0 - number))
        samples_of(folder / task, dict.fromkeys(STEPS, mean), seed=number)
        scores = {("first", "EAP"): mean, ("second", "EAP"): 2 * mean}
        write_edges(folder / task, FOUR_HEADS, dict.fromkeys(STEPS, scores))
    unrelated = row(FOUR_HEADS, path("a0.h3", "a1.h3", score=-2.0))
    samples_of(folder / CONTROL, {STEPS[0]: unrelated}, seed=len(TASKS))
    return folder


def script(name: str):  # type: ignore[no-untyped-def]
    sys.modules.pop(name, None)
    return __import__(name)


def job(run: Path, task: str) -> SimpleNamespace:
    names = [f"{step:06d}.parquet" for step in STEPS]
    transfer = run / task / "transfer" / names[1]
    transfer.parent.mkdir()
    cells = (0, 8, task, task, "cross_faithfulness", 0.5, 0.4, 0.6, None)
    line = dict(zip(COMPARISON.names, cells, strict=True))
    pq.write_table(pa.Table.from_pylist([line], schema=COMPARISON), transfer)
    return SimpleNamespace(
        input=SimpleNamespace(
            edges=[str(run / task / "edges" / names[0])],
            edge_samples=[str(run / task / "edge_samples" / name) for name in names],
            other_samples=[
                str(run / other / "edge_samples" / name)
                for other in TASKS
                if other != task
                for name in names
            ],
            control_samples=[str(run / CONTROL / "edge_samples" / names[0])],
            transfer=[str(transfer)],
        ),
        params=SimpleNamespace(
            job={
                "task": task,
                "method": "EAP",
                "seed": 0,
                "comparison": {
                    "edges": 6,
                    "prompts": 10,
                    "batch": 5,
                    "checkpoints": 4,
                    "resamples": 20,
                    "splits": 5,
                },
            }
        ),
        output=SimpleNamespace(
            comparison=str(run / task / "comparison.parquet"),
            heads=str(run / task / "heads.parquet"),
        ),
    )


def test_a_run_is_compared_and_summarised(run: Path, tmp_path: Path) -> None:
    for task in TASKS:
        script("compare").main(job(run, task))
        found = pq.read_table(run / task / "comparison.parquet")
        assert found.schema == COMPARISON
        measures = found["measure"].to_pylist()
        assert measures.count("cross_faithfulness") == 1
        assert measures.count("edge_jaccard") == 3 + 3 + 2
        assert set(found["task_b"].to_pylist()) == {task}
        assert set(found["task_a"].to_pylist()) == {*TASKS, CONTROL}
        assert pq.read_table(run / task / "heads.parquet").schema == HEADS
        (run / task / "win_rate").mkdir()
        for step in STEPS:
            rate = {"step": step, "win_rate": 0.5, "ci_low": 0.4, "ci_high": 0.6}
            table = pa.Table.from_pylist([rate], schema=WIN_RATE)
            pq.write_table(table, run / task / "win_rate" / f"{step:06d}.parquet")
    summary = SimpleNamespace(
        input=SimpleNamespace(
            comparisons=[run / task / "comparison.parquet" for task in TASKS],
            heads=[run / task / "heads.parquet" for task in TASKS],
            win_rates=[file for task in TASKS for file in (run / task / "win_rate").iterdir()],
        ),
        params=SimpleNamespace(job={"run": "two_to_three", "task": "ioi3"}),
        output=SimpleNamespace(
            table=str(tmp_path / "summary.parquet"), text=str(tmp_path / "summary.md")
        ),
    )
    script("summarise").main(summary)
    assert pq.read_table(tmp_path / "summary.parquet").schema == SUMMARY
    text = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "**Transformed**: " in text
    assert f"0 % ({CONTROL}, 0–0 %) of it" in text
    assert "| a0.h0 | kept | -2." in text


def test_a_runs_circuits_are_exported(run: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "step-000000"
    checkpoint.mkdir()
    circuits = tmp_path / "circuits"
    (checkpoint / "config.json").write_text(json.dumps({"n_embd": 32}))
    export = SimpleNamespace(
        input=SimpleNamespace(
            edges=[str(run / "ioi3" / "edges" / f"{step:06d}.parquet") for step in STEPS],
            checkpoints=str(tmp_path),
        ),
        params=SimpleNamespace(
            job={"run": "two_to_three", "task": "ioi3", "method": "EAP", "edges": 6}
        ),
        output=SimpleNamespace(circuits=str(circuits)),
    )
    script("export_circuits").main(export)
    for step in STEPS:
        document = json.loads((circuits / f"step-{step:06d}.importances.json").read_text())
        assert document["cfg"]["d_model"] == 32
        assert document["edges"]["a1.h0->logits"] == {"score": 3.0, "in_graph": True}
        assert np.isclose(sum(edge["score"] for edge in document["edges"].values()), 9.0)
        assert "a1.h0" in (circuits / f"step-{step:06d}.graphml").read_text()
