"""Slurm's commands, as far as the plugin calls them: every submission is recorded and done at once.

A job is done by putting back what its rule has made in a study that is finished.
"""

import argparse
import base64
import json
import re
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "scontrol", "sinfo", "sacct", "scancel")
SETTINGS = "MaxArraySize = 1001\nMinJobAge = 300 sec"


@dataclass(frozen=True)
class Submission:
    """What a job was submitted with."""

    rule: str
    partition: str
    gpus: int
    cpus: int
    mem_mb: int
    minutes: int


@dataclass(frozen=True)
class FakeSlurm:
    """Its commands are in `folder/bin`, its records in `folder/jobs`."""

    folder: Path

    def submissions(self) -> list[Submission]:
        return [
            _submission(json.loads(call.read_text()))
            for call in sorted(self.folder.glob("jobs/*/call.json"))
        ]


def install(folder: Path, finished: Path) -> FakeSlurm:
    """Set the commands up for copies of a finished study."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in COMMANDS:
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {folder} {name} "$@"\n')
        command.chmod(0o755)
    made = defaultdict(list)
    for record in (finished / ".snakemake/metadata").iterdir():
        output = base64.b64decode(record.name).decode()
        made[json.loads(record.read_text())["rule"]].append(output)
    (folder / "made.json").write_text(json.dumps(made))
    shutil.copytree(finished / "results", folder / "results")
    return FakeSlurm(folder)


def _submission(call: list[str]) -> Submission:
    """Read a call of sbatch; what is not listed here, such as a GPU's model, is an error."""
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--parsable", action="store_true")
    for name in ("--job-name", "--output", "--export", "--comment", "--wrap", "-D"):
        parser.add_argument(name, required=True)
    parser.add_argument("--ntasks", type=int, choices=[1])
    parser.add_argument("-p", required=True)
    parser.add_argument("--gpus", type=int, default=0)
    for name in ("--cpus-per-task", "--mem", "-t"):
        parser.add_argument(name, type=int, required=True)
    known, unknown = parser.parse_known_args(call)
    assert not unknown, unknown
    return Submission(
        rule=_rule(known.comment),
        partition=known.p,
        gpus=known.gpus,
        cpus=known.cpus_per_task,
        mem_mb=known.mem,
        minutes=known.t,
    )


def _rule(comment: str) -> str:
    return re.fullmatch(r"rule_(.+?)(_wildcards_.*)?", comment)[1]


def _sbatch(folder: Path, call: list[str]) -> str:
    number = 1
    while True:
        try:
            (folder / f"jobs/{number:04}").mkdir()
            break
        except FileExistsError:
            number += 1
    (folder / f"jobs/{number:04}/call.json").write_text(json.dumps(call))
    rule = _rule(call[call.index("--comment") + 1])
    for output in json.loads((folder / "made.json").read_text())[rule]:
        source, target = folder / output, Path(output)
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            new = target.with_name(f".{number}-{target.name}")
            shutil.copyfile(source, new)
            new.replace(target)
    return str(number)


def _main(folder: Path, name: str, call: list[str]) -> str:
    if name == "sbatch":
        return _sbatch(folder, call)
    if name == "squeue":
        return "\n".join(f"{int(job.name)}|COMPLETED" for job in (folder / "jobs").iterdir())
    if name == "scontrol":
        return SETTINGS
    sys.exit(f"{name}: not to be relied on")


if __name__ == "__main__":
    print(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
