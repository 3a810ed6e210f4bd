"""The printed commands make the damaged files with the config that was given."""

import shlex
from pathlib import Path

from snakemake.cli import get_argument_parser, parse_config

from timelapse.verification.report import Command, mending

FOLDER = Path("results/runs/a run/ioi3/figures")


def test_frames_are_asked_for_by_themselves() -> None:
    damaged = [FOLDER / "head.gif", FOLDER / "head/step-000002.png", FOLDER / "circuit_sizes.png"]
    remove, first, last = mending(damaged, Command())
    assert remove.startswith("rm -r 'results/runs/a run/")
    assert "head.gif" in first and "circuit_sizes.png" in first and "step" not in first
    assert last == "snakemake 'results/runs/a run/ioi3/figures/head/step-000002.png'"


def test_snakemake_reads_the_targets_and_the_config_from_the_line() -> None:
    config = {
        "granularity": "checkpoint",
        "seed": 3,
        "store": "a store",
        "activations": {"dtype": "float16"},
        "yes": True,
        "rate": 1e-4,
        "none": None,
    }
    command = Command("snakemake", ["studies/one.yaml", "a file.yaml"], config)
    _, line = mending([FOLDER / "head.gif"], command)
    read = get_argument_parser().parse_args(shlex.split(line)[1:])
    assert list(read.targets) == [str(FOLDER / "head.gif")]
    assert list(map(str, read.configfile)) == ["studies/one.yaml", "a file.yaml"]
    assert (read.config if isinstance(read.config, dict) else parse_config(read.config)) == config
