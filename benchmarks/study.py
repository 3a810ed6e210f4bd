"""How long a study takes from nothing, and how much of that is start-up.

    python benchmarks/study.py [--cores N] [--folder NEW]

Runs the default study in a copy of the project and reads the wall time of every job from
Snakemake's own records. Start-up is what no science happens in: the imports of every job (timed
apart, in the same session, once per rule) and the time in which no job ran (parsing, scheduling).
"""

import argparse
import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
RUN = "results/runs/two_to_three"
CIRCUITS = {"edges", "faithfulness", "transfer", "compare", "export_circuits", "summarise"}
HOUSE = ("Snakefile", "config.yaml", "rules", "workflow", "tasks", "profiles", "envs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="2")
    parser.add_argument("--folder", type=Path, help="a new folder that is kept")
    arguments = parser.parse_args()
    cores = arguments.cores
    with tempfile.TemporaryDirectory() as temporary:
        project = arguments.folder or Path(temporary)
        project.mkdir(exist_ok=True)
        for name in HOUSE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, project / name)
        load = os.getloadavg()[0]
        start = time.time()
        subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", cores], cwd=project, check=True
        )
        wall = time.time() - start
        jobs = recorded_jobs(project)
        rates = {task: win_rates(project, task) for task in ("ioi2", "ioi3")}
        answer = summary(project)
        redraw = redraw_seconds(project)
    idle = wall - covered(jobs)
    imports = {rule: import_seconds(rule) for rule in {job["script"] for job in jobs}}
    rules: dict[str, dict[str, float]] = {}
    for job in jobs:
        row = rules.setdefault(job["script"], {"jobs": 0, "seconds": 0.0, "start_up": 0.0})
        row["jobs"] += 1
        row["seconds"] += job["end"] - job["start"]
        row["start_up"] += imports[job["script"]]
    busy = sum(row["seconds"] for row in rules.values())
    start_up = sum(row["start_up"] for row in rules.values()) + idle
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(load, 2),
        "wall_seconds": round(wall, 1),
        "seconds_without_a_job": round(idle, 1),
        "start_up_share": round(start_up / (busy + idle), 3),
        "circuit_stage_seconds": round(
            covered([job for job in jobs if job["script"] in CIRCUITS]), 1
        ),
        "one_picture_redrawn_seconds": round(redraw, 1),
        "answer": answer,
        "win_rates": rates,
        "rules": {
            rule: {key: round(value, 1) for key, value in row.items()}
            for rule, row in sorted(rules.items())
        },
    }
    text = json.dumps(report, indent=1)
    print(text)
    (ROOT / "benchmarks" / "study.json").write_text(text + "\n")
    hard, easy = rates["ioi3"], rates["ioi2"]
    jumps = [after - before for before, after in pairwise(hard)]
    assert 0.2 <= hard[0] <= 0.5 and hard[-1] >= 0.9 and max(jumps) <= 0.35, hard
    assert min(easy) >= 0.95, easy


def win_rates(project: Path, task: str) -> list[float]:
    """The win rate of every checkpoint."""
    table = pq.read_table(project / RUN / task / "win_rate").sort_by("step")
    return [round(rate, 3) for rate in table["win_rate"].to_pylist()]


def summary(project: Path) -> str:
    """What the study has to say, as it stands on top of its summary."""
    return (project / RUN / "summary.md").read_text().split("\n\n")[1]


def redraw_seconds(project: Path) -> float:
    """How long it takes to draw one picture that was deleted."""
    picture = f"{RUN}/ioi3/figures/circuit/step-000064.png"
    (project / picture).unlink()
    start = time.time()
    subprocess.run([sys.executable, "-m", "snakemake", picture], cwd=project, check=True)
    return time.time() - start


def recorded_jobs(project: Path) -> list[dict[str, object]]:
    """Start, end and script of every job, from the records of its outputs."""
    jobs = {}
    for path in (project / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            script = record["rule"].partition("_two_to_three")[0]
            script = "draw_film" if script.startswith(("draw_film", "draw_graph")) else script
            script = "edges" if script == "control_edges" else script
            script = "draw_overview" if script.endswith("_overview") else script
            jobs[record["log"][0]] = {
                "script": script,
                "start": record["starttime"],
                "end": record["endtime"],
            }
    return list(jobs.values())


def covered(jobs: list[dict[str, object]]) -> float:
    """Seconds in which at least one job ran."""
    total, until = 0.0, 0.0
    for job in sorted(jobs, key=lambda job: job["start"]):
        total += max(0.0, job["end"] - max(job["start"], until))
        until = max(until, job["end"])
    return total


def import_seconds(rule: str) -> float:
    """How long a process takes that only imports what a rule's script imports."""
    tree = ast.parse((SCRIPTS / f"{rule}.py").read_text())
    imports = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and "job" not in ast.unparse(node)
    ]
    start = time.time()
    subprocess.run(
        [sys.executable, "-c", "\n".join(["import gc; gc.set_threshold(1_000_000)", *imports])],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS), "HF_HUB_OFFLINE": "1"},
        check=True,
    )
    return time.time() - start


if __name__ == "__main__":
    main()
