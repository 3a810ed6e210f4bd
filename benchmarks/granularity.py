"""Whether a job for each checkpoint spreads the probes over workers, and what its imports cost.

    python benchmarks/granularity.py [--checkpoints 3] [--workers 2]

Makes a model of the default study's shape with checkpoints of it, then measures them on one task
with all probes three times from nothing: a job for each checkpoint with one worker (serial), the
same jobs with k workers, and a job for all checkpoints with one worker. All jobs use one thread.
The probe stage is to take at most 1.25/k of its serial time. The machine's load is recorded before
each: with other work beside it the workers share the cores.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dag import ROOT, new_project

RUN = "results/runs/short"
PROBES = (
    *("win_rate", "logit_diff", "patching", "attention", "head_roles", "logit_lens"),
    *("edges", "faithfulness"),
)
ALLOWED = 1.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    names = [f"step-{step:06d}" for step in range(arguments.checkpoints)]
    with tempfile.TemporaryDirectory() as folder:
        project = new_project(Path(folder), config(arguments.checkpoints, "checkpoint"))
        snakemake(project, 2, [f"{RUN}/training.parquet", "results/datasets/ioi3/test.parquet"])
        tables = [f"{RUN}/ioi3/{probe}/{name}.parquet" for probe in PROBES for name in names]
        serial = measured(project, 1, tables)
        parallel = measured(project, arguments.workers, tables)
        (project / "config.yaml").write_text(json.dumps(config(arguments.checkpoints, "run")))
        whole = measured(project, 1, tables)
    share = parallel["seconds"] / serial["seconds"]
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "checkpoints": arguments.checkpoints,
        "workers": arguments.workers,
        "jobs": len(tables),
        "each_checkpoint_serial": serial,
        "each_checkpoint_parallel": parallel,
        "all_checkpoints_serial": whole,
        "share_of_serial_time": round(share, 3),
        "allowed_share": ALLOWED / arguments.workers,
        "within": share <= ALLOWED / arguments.workers,
        "seconds_more_for_a_job": round(
            (serial["seconds"] - whole["seconds"]) / (len(tables) - len(PROBES)), 1
        ),
    }
    text = json.dumps(report, indent=1)
    print(text)
    (ROOT / "benchmarks" / "granularity.json").write_text(text + "\n")


def config(checkpoints: int, granularity: str) -> dict[str, object]:
    """The default study's model and probes, hardly trained."""
    return {
        "granularity": granularity,
        "models": {"base": {"embedded": {"mlp_width": 64, "mixture": {"ioi3": 1}, "steps": 3}}},
        "runs": {
            "short": {
                "model": "base",
                "task": "ioi3",
                "steps": checkpoints - 1,
                "checkpoints": {"every": 1},
            }
        },
        "probes": {"patching": {"prompts": 108}, "edges": {"prompts": 204}},
    }


def measured(project: Path, workers: int, tables: list[str]) -> dict[str, float]:
    """Seconds from no table and no stored activation to all tables."""
    shutil.rmtree(project / RUN / "ioi3", ignore_errors=True)
    shutil.rmtree(project / ".cache", ignore_errors=True)
    load, start = os.getloadavg()[0], time.time()
    snakemake(project, workers, tables)
    return {"seconds": round(time.time() - start, 1), "load_before": round(load, 2)}


def snakemake(project: Path, workers: int, targets: list[str]) -> None:
    """Run until the targets are there."""
    subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", str(workers), *targets],
        cwd=project,
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    main()
