"""Whatever is killed, the next run ends as if nothing had been, and does nothing twice."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from projects import Project
from sabotage import Saboteur, Snakemake

pytestmark = pytest.mark.faults

RULES = {
    *("expand_task", "train_embedded", "finetune", "win_rate", "logit_diff", "patching"),
    *("attention", "head_roles", "logit_lens", "edges", "faithfulness", "transfer", "compare"),
    *("export_circuits", "summarise", "draw_film", "draw_overview"),
}
"""By the folders of their logs."""
KILLED_AFTER = (2, 9, 20, None)
"""After how many finished jobs each Snakemake is killed; the rest are not."""
MOST_RUNS = 25


def records(project: Project) -> dict[str, dict]:
    """What Snakemake has recorded of every finished output."""
    found = {}
    for file in (project.folder / ".snakemake" / "metadata").iterdir():
        record = json.loads(file.read_text())
        if not record["incomplete"]:
            found[base64.b64decode(file.name).decode()] = record
    return found


def made(project: Project) -> dict[str, int]:
    """When every finished output was written."""
    return {
        name: path.stat().st_mtime_ns
        for name in records(project)
        if (path := project.folder / name).exists()
    }


def shortest(project: Project) -> dict[str, float]:
    """Seconds that the shortest job of every rule took."""
    found: dict[str, float] = {}
    for record in records(project).values():
        rule = Path(record["log"][0]).parts[1]
        seconds = record["endtime"] - record["starttime"]
        found[rule] = min(seconds, found.get(rule, np.inf))
    return found


def contents(project: Project) -> dict[str, object]:
    """All results, without the seconds that training took."""
    found: dict[str, object] = {}
    results = project.folder / "results"
    for path in sorted(results.rglob("*")):
        if not path.is_file() or path.name.startswith(".snakemake"):
            continue
        name = str(path.relative_to(results))
        if path.name == "training.parquet":
            found[name] = pq.read_table(path).drop(["seconds"]).to_pylist()
        else:
            found[name] = path.read_bytes()
    return found


def test_every_kind_of_job_and_snakemake_may_be_killed(
    finished: Project, fresh: Callable[..., Project]
) -> None:
    project, random = fresh(), np.random.default_rng(5)
    # A job is older than its process: half of its time is surely within.
    saboteur = Saboteur({kind: s / 2 for kind, s in shortest(finished).items()}, random)
    assert saboteur.kinds == RULES
    kept: dict[str, int] = {}
    kills = list(KILLED_AFTER)
    for run in range(MOST_RUNS):
        log = project.folder.parent / f"{run}.log"
        snakemake = Snakemake(project.folder, log, "--cores", "2", "--keep-going")
        orphans = saboteur.accompany(snakemake, kills.pop(0) if kills else None)
        assert "Traceback" not in log.read_text()
        if orphans is not None:
            assert psutil.wait_procs(orphans, timeout=30)[1] == []
            told = project.snakemake("--cores", "2")
            assert told.returncode != 0 and "snakemake --unlock" in told.stdout + told.stderr
            assert project.snakemake("--unlock").returncode == 0
        now = made(project)
        assert {name: now.get(name) for name in kept} == kept, "finished work was done again"
        kept = now
        if orphans is None and snakemake.wait() == 0:
            break
    assert saboteur.killed == RULES
    assert project.planned() == {}
    assert contents(project) == contents(finished)
