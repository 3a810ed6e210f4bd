"""How long a dry run of a long study takes, and how large its graph of jobs is.

    python benchmarks/dag.py [--checkpoints 1000] [--granularity run checkpoint]

Makes a project with one run that is measured on all ten shipped tasks, and plans it with
`snakemake -n`, at both granularities. Nothing is trained. Wall and processor seconds, peak memory
and jobs go to dag.json, with the load of the machine.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ("Snakefile", "rules", "workflow", "tasks", "profiles", "envs")
TASKS = sorted(path.stem for path in (ROOT / "tasks").glob("*.yaml"))
TARGET = 60
"""Seconds that a dry run may take."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=int, nargs="+", default=[24, 100, 1000])
    parser.add_argument("--granularity", nargs="+", default=["run", "checkpoint"])
    parser.add_argument("--limit", type=float, default=900, help="seconds for one dry run")
    arguments = parser.parse_args()
    plans = []
    for checkpoints in arguments.checkpoints:
        for granularity in arguments.granularity:
            with tempfile.TemporaryDirectory() as folder:
                project = new_project(Path(folder), config(checkpoints, granularity))
                plans.append(
                    {"checkpoints": checkpoints, "tasks": len(TASKS), "granularity": granularity}
                    | dry_run(project, arguments.limit)
                )
                print(json.dumps(plans[-1]))
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "target_seconds": TARGET,
        "plans": plans,
    }
    (ROOT / "benchmarks" / "dag.json").write_text(json.dumps(report, indent=1) + "\n")


def config(checkpoints: int, granularity: str) -> dict[str, object]:
    """One run with so many checkpoints, measured on every task that is shipped."""
    return {
        "granularity": granularity,
        "models": {"base": {"embedded": {"mixture": dict.fromkeys(TASKS, 1)}}},
        "runs": {
            "long": {
                "model": "base",
                "task": "ioi3",
                "evaluate": TASKS,
                "steps": checkpoints - 1,
                "checkpoints": {"every": 1},
            }
        },
    }


def new_project(folder: Path, study: dict[str, object]) -> Path:
    """A copy of the workflow with a config."""
    for name in HOUSE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    (folder / "config.yaml").write_text(json.dumps(study))
    return folder


def dry_run(project: Path, limit: float) -> dict[str, object]:
    """Seconds, memory and jobs of `snakemake -n`."""
    load, output = os.getloadavg()[0], project / "planned.txt"
    start = time.time()
    with output.open("w") as file:
        process = subprocess.Popen(
            ["timeout", str(limit), sys.executable, "-m", "snakemake", "-n", "--quiet", "all"],
            cwd=project,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
    text = output.read_text()
    total = re.search(r"^total +(\d+)", text, re.MULTILINE)
    return {
        "finished": status == 0,
        "wall_seconds": round(time.time() - start, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
        "jobs": int(total[1]) if total else 0,
        "load_before": round(load, 2),
    }


if __name__ == "__main__":
    main()
