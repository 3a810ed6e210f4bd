"""What a study of 1,000 checkpoints and ten tasks amounts to, counted from the project's own code.

    python benchmarks/scaling.py [--checkpoints 1000] [--workers 64]

Counts jobs and files at both granularities, and the bytes of GPT-2 small's activations that the
store keeps of a checkpoint. What a job costs a cluster besides its work is an assumption, and so is
the length of a prompt. The figures go to scaling.json.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from transformer_lens.config import TransformerBridgeConfig  # noqa: E402

from timelapse.activations.cache import numbers_per_prompt  # noqa: E402
from timelapse.activations.keys import merge_needs, rows_in_whole_blocks  # noqa: E402
from timelapse.probes.sweep_cached import all_needs  # noqa: E402
from timelapse.study.config_files import ConfigFiles  # noqa: E402
from timelapse.study.study import read_study  # noqa: E402

TASKS = 10
LENGTH = 20
"""Tokens of a prompt."""
JOB_OVERHEAD = 12
"""Seconds that Slurm and Snakemake took for a job besides its work, on a one-machine Slurm."""
IMPORTS = 4.5
"""Seconds of imports, from benchmarks/study.json: start-up of a probe's job."""
PROBES = 8
TABLES = 12
"""Tables of a checkpoint and task: those of the probes."""
COMPARED = 24
FRAMES = 100
KINDS = 19
"""Kinds of films; the circuit's has two more files for each checkpoint."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=64)
    arguments = parser.parse_args()
    n, workers = arguments.checkpoints, arguments.workers
    jobs = {"run": TASKS * (PROBES + 1), "checkpoint": TASKS * (PROBES * n + COMPARED)}
    by_ten = TASKS * (PROBES * n // 10 + COMPARED)
    report = {
        "checkpoints": n,
        "tasks": TASKS,
        "probe_jobs": jobs,
        "probe_tables": TASKS * TABLES * n,
        "frames": TASKS * (KINDS + 2) * min(n, FRAMES),
        "circuit_files": TASKS * 2 * n,
        "gpt2_activation_mb_of_a_checkpoint_and_task": round(activation_bytes() / 1e6, 1),
        "gpt2_activation_gb_of_all": round(activation_bytes() * n * TASKS / 1e9),
        "hours_besides_work": {
            "checkpoint": round(jobs["checkpoint"] * (JOB_OVERHEAD + IMPORTS) / workers / 3600, 1),
            "checkpoint, ten in a group": round(
                (by_ten * JOB_OVERHEAD + jobs["checkpoint"] * IMPORTS) / workers / 3600, 1
            ),
            "run": round(-(-jobs["run"] // workers) * (JOB_OVERHEAD + IMPORTS) / 3600, 2),
        },
    }
    text = json.dumps(report, indent=1)
    print(text)
    (ROOT / "benchmarks" / "scaling.json").write_text(text + "\n")


def activation_bytes() -> int:
    """Bytes that the default probes keep of a GPT-2 small checkpoint on ioi3, in float32."""
    study = read_study(ConfigFiles.read([ROOT / "config.yaml"]))
    config = TransformerBridgeConfig(
        n_layers=12, n_heads=12, d_model=768, d_head=64, n_ctx=1024, d_vocab=50257, d_mlp=3072,
        architecture="GPT2LMHeadModel",
    )  # fmt: skip
    rows = rows_in_whole_blocks(study.probes["logit_diff"].prompts, study.activations.rows)
    numbers = sum(
        numbers_per_prompt(need, config, LENGTH) for need in merge_needs(all_needs(config))
    )
    return 4 * rows * numbers


if __name__ == "__main__":
    main()
