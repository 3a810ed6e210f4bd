"""Whether a job for each checkpoint spreads the probes over workers.

    python benchmarks/granularity.py [--checkpoints 3] [--workers 2]

Makes a model of the default study's shape, hardly trained, with checkpoints of it, and measures
them on one task with all probes twice from nothing, a job with one thread for each checkpoint and
probe: with one worker (serial), then with k. The probe stage is to take at most 1.25/k of its
serial time. What is timed is the span from the start of the first of these jobs to the last table,
by Snakemake's own records: imports and Snakemake's time between jobs are in it, the planning before
the first job is not. The load of the machine is recorded: other work takes cores from the workers.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dag import ROOT, new_project

RUN = "results/runs/short"
PROBES = (
    *("win_rate", "logit_diff", "patching", "attention", "head_roles", "logit_lens"),
    *("edges", "faithfulness"),
)
BEFORE = (
    f"{RUN}/training.parquet",
    "results/datasets/ioi3/test.parquet",
    "results/datasets/ioi3/validation.parquet",
)
ALLOWED = 1.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    names = [f"step-{step:06d}" for step in range(arguments.checkpoints)]
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder), config(arguments.checkpoints))
        snakemake(project, 2, BEFORE)
        tables = [f"{RUN}/ioi3/{probe}/{name}.parquet" for probe in PROBES for name in names]
        serial = measured(project, 1, tables)
        parallel = measured(project, arguments.workers, tables)
    share = parallel["seconds"] / serial["seconds"]
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "checkpoints": arguments.checkpoints,
        "jobs": len(tables),
        "workers": arguments.workers,
        "serial": serial,
        "parallel": parallel,
        "share_of_serial_time": round(share, 3),
        "allowed_share": ALLOWED / arguments.workers,
        "within": share <= ALLOWED / arguments.workers,
    }
    text = json.dumps(report, indent=1)
    print(text)
    (ROOT / "benchmarks" / "granularity.json").write_text(text + "\n")


def config(checkpoints: int) -> dict[str, object]:
    """The default study's model, on few prompts."""
    return {
        "granularity": "checkpoint",
        "models": {"base": {"embedded": {"mlp_width": 64, "mixture": {"ioi3": 1}, "steps": 3}}},
        "runs": {
            "short": {
                "model": "base",
                "task": "ioi3",
                "steps": checkpoints - 1,
                "checkpoints": {"every": 1},
            }
        },
        "probes": {
            "patching": {"prompts": 24},
            "edges": {"prompts": 48},
            "faithfulness": {"prompts": 48},
        },
    }


def measured(project: Path, workers: int, tables: list[str]) -> dict[str, float]:
    """The span from no table and no stored activation to all tables, and the load before."""
    shutil.rmtree(project / RUN / "ioi3", ignore_errors=True)
    shutil.rmtree(project / ".cache", ignore_errors=True)
    load = os.getloadavg()[0]
    snakemake(project, workers, tables)
    spans = recorded(project)
    seconds = max(end for _, end in spans) - min(start for start, _ in spans)
    busy = sum(end - start for start, end in spans)
    return {
        "seconds": round(seconds, 1),
        "seconds_of_all_jobs": round(busy, 1),
        "load_before": round(load, 2),
    }


def recorded(project: Path) -> list[tuple[float, float]]:
    """Start and end of every job of a probe; a job's log stands for it."""
    spans = {}
    for path in (project / ".snakemake" / "metadata").rglob("*"):
        record = json.loads(path.read_text()) if path.is_file() else {"rule": ""}
        if record["rule"].endswith("-checkpoint"):
            spans[record["log"][0]] = (record["starttime"], record["endtime"])
    return list(spans.values())


def snakemake(project: Path, workers: int, targets: list[str] | tuple[str, ...]) -> None:
    """Run until the targets are there."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", str(workers), *targets],
        cwd=project,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


if __name__ == "__main__":
    main()
