"""How long a study takes from nothing, where the time goes, and how much of it is start-up.

    python benchmarks/study.py [--cores N] [--folder NEW]

Runs the default study in a copy of the project and writes `study.json`, whose "before" it keeps:
the same of an older state of the project, measured on the same machine on the same day. Wall time
comes from Snakemake's records of the jobs, processor time from the rules' `benchmark:` files.
Start-up is what no science happens in: the imports of every job (timed apart, in the same session,
once per rule) and the time in which no job ran (parsing, scheduling). Leave the machine alone
while it runs.
"""

import argparse
import ast
import csv
import json
import os
import platform
import resource
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
sys.path.insert(0, str(SCRIPTS))

from timelapse.probes.registry import PROBES  # noqa: E402

REPORT = ROOT / "benchmarks" / "study.json"
RUN = "results/runs/two_to_three"
CIRCUITS = {"edges", "faithfulness", "transfer", "compare", "export_circuits", "summarise"}
COPIED = ("Snakefile", "config.yaml", "rules", "workflow", "tasks", "profiles", "envs", "models")
"""What a study needs; `models` is the shipped base model."""


OVERVIEWS = {"draw_run_overview": "draw_overview", "draw_task_overview": "draw_overview"}
"""Rules that share a script and a folder of benchmarks."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="2")
    parser.add_argument("--folder", type=Path, help="a new folder that is kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        project = arguments.folder or Path(temporary)
        project.mkdir(exist_ok=True)
        for name in filter(lambda name: (ROOT / name).exists(), COPIED):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, project / name)
        load = os.getloadavg()[0]
        cpu, start = cpu_seconds(), time.time()
        snakemake(project, "--cores", arguments.cores)
        wall, cpu = time.time() - start, cpu_seconds() - cpu
        jobs = recorded_jobs(project)
        measured = benchmarks(project)
        rates = {task: win_rates(project, task) for task in ("ioi2", "ioi3")}
        answer = summary(project)
        start = time.time()
        snakemake(project, "--cores", arguments.cores)
        nothing = time.time() - start
        picture = f"{RUN}/ioi3/figures/circuit/step-000064.png"
        redraw = redraw_seconds(project, picture)
        both = redraw_seconds(project, picture, f"{RUN}/ioi3/figures/circuit.gif")
    idle = wall - covered(jobs)
    imports = {rule: import_seconds(rule) for rule in {job["rule"] for job in jobs}}
    rules: dict[str, dict[str, float]] = {}
    for job in jobs:
        row = rules.setdefault(
            job["rule"], {"jobs": 0, "seconds": 0.0, "cpu_seconds": 0.0, "start_up": 0.0}
        )
        row["jobs"] += 1
        row["seconds"] += job["end"] - job["start"]
        row["start_up"] += imports[job["rule"]]
    for rule, row in rules.items():
        row["cpu_seconds"] = measured.get(rule, 0.0)
    busy = sum(row["seconds"] for row in rules.values())
    start_up = sum(row["start_up"] for row in rules.values()) + idle
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report["after"] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(load, 2),
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "seconds_without_a_job": round(idle, 1),
        "start_up_share": round(start_up / (busy + idle), 3),
        "circuit_stage_seconds": round(
            covered([job for job in jobs if job["rule"] in CIRCUITS]), 1
        ),
        "nothing_to_do_seconds": round(nothing, 1),
        "one_picture_redrawn_seconds": round(redraw, 1),
        "picture_and_film_redrawn_seconds": round(both, 1),
        "answer": answer,
        "win_rates": rates,
        "rules": {
            rule: {key: round(value, 1) for key, value in row.items()}
            for rule, row in sorted(rules.items())
        },
    }
    text = json.dumps(report, indent=1)
    print(text)
    REPORT.write_text(text + "\n")
    print(table(report))
    hard, easy = rates["ioi3"], rates["ioi2"]
    jumps = [after - before for before, after in pairwise(hard)]
    assert 0.2 <= hard[0] <= 0.5 and hard[-1] >= 0.9 and max(jumps) <= 0.35, hard
    assert min(easy) >= 0.95, easy


def snakemake(project: Path, *arguments: str) -> None:
    """Run Snakemake in the project."""
    subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=project, check=True)


def cpu_seconds() -> float:
    """Processor time of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def table(report: dict[str, dict]) -> str:
    """The seconds of each rule before and after, as Markdown."""
    before, after = (report.get(key, {}).get("rules", {}) for key in ("before", "after"))
    rows = ["| rule | jobs | seconds before | seconds | of the processor | start-up |"]
    rows.append("|---|---:|---:|---:|---:|---:|")
    for rule in sorted(before.keys() | after.keys()):
        was, now = before.get(rule, {}), after.get(rule, {})
        numbers = [now.get("jobs"), was.get("seconds")]
        numbers += [now.get(key) for key in ("seconds", "cpu_seconds", "start_up")]
        cells = ["" if number is None else f"{number:g}" for number in numbers]
        rows.append(f"| {rule} | {' | '.join(cells)} |")
    return "\n".join(rows)


def win_rates(project: Path, task: str) -> list[float]:
    """The win rate of every checkpoint."""
    table = pq.read_table(project / RUN / task / "win_rate").sort_by("step")
    return [round(rate, 3) for rate in table["win_rate"].to_pylist()]


def summary(project: Path) -> str:
    """What the study has to say, as it stands on top of its summary."""
    return (project / RUN / "summary.md").read_text().split("\n\n")[1]


def redraw_seconds(project: Path, *pictures: str) -> float:
    """How long it takes to draw pictures that were deleted."""
    for picture in pictures:
        (project / picture).unlink()
    start = time.time()
    snakemake(project, *pictures)
    return time.time() - start


def recorded_jobs(project: Path) -> list[dict[str, object]]:
    """Start, end and rule of every job, from the records of its outputs."""
    jobs = {}
    for path in (project / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            jobs[record["log"][0]] = {
                "rule": OVERVIEWS.get(record["rule"], record["rule"]),
                "start": record["starttime"],
                "end": record["endtime"],
            }
    return list(jobs.values())


def benchmarks(project: Path) -> dict[str, float]:
    """Processor seconds of each rule, from what Snakemake measured of its jobs."""
    found: dict[str, float] = {}
    folder = project / "logs" / "benchmarks"
    for path in folder.rglob("*.tsv"):
        rule = path.relative_to(folder).parts[0]
        with path.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if row["cpu_time"] not in ("", "NA"):
                    found[rule] = found.get(rule, 0.0) + float(row["cpu_time"])
    return found


def covered(jobs: list[dict[str, object]]) -> float:
    """Seconds in which at least one job ran."""
    total, until = 0.0, 0.0
    for job in sorted(jobs, key=lambda job: job["start"]):
        total += max(0.0, job["end"] - max(job["start"], until))
        until = max(until, job["end"])
    return total


def import_seconds(rule: str) -> float:
    """How long a process takes that only imports what a rule's job imports."""
    script = "probe" if rule in PROBES else "draw_film" if rule == "draw_frame" else rule
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text())
    imports = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and "job" not in ast.unparse(node)
    ]
    if rule in PROBES:
        probe = PROBES[rule]
        functions = filter(None, (probe.function, probe.prepare, probe.needs))
        imports += [f"import {function.partition(':')[0]}" for function in functions]
        if probe.model == "bridge":
            imports.append("from transformer_lens.model_bridge import TransformerBridge")
    start = time.time()
    subprocess.run(
        [sys.executable, "-c", "\n".join(["import gc; gc.set_threshold(1_000_000)", *imports])],
        env=os.environ | {"PYTHONPATH": str(SCRIPTS), "HF_HUB_OFFLINE": "1"},
        check=True,
    )
    return time.time() - start


if __name__ == "__main__":
    main()
