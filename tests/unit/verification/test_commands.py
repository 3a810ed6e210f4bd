"""The printed commands make the damaged files with the config that was given."""

import shlex
from pathlib import Path

from snakemake.cli import get_argument_parser, parse_config

from timelapse.verification.report import Command, mending

FOLDER = Path("results/runs/a_run/ioi3/figures")


def test_whatever_is_damaged_is_asked_for_in_one_command() -> None:
    run = Path("results/runs/a")
    damaged = [
        FOLDER / "head.gif",
        FOLDER / "head/step-000002.png",
        *(run / f"checkpoints/step-{step}" for step in ("000000", "000008")),
        run / "ioi3/circuits/step-000008.graphml",
    ]
    remove, ask = mending(damaged, Command())
    targets = [str(FOLDER / "head.gif"), str(FOLDER / "head/step-000002.png")]
    targets += ["results/runs/a/checkpoints", "results/runs/a/ioi3/circuits"]
    assert shlex.split(remove) == ["rm", "-r", *targets]
    assert shlex.split(ask) == ["snakemake", *targets]


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
