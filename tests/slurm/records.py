"""What Slurm itself has written down of its jobs: as they started, and as they ended."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One job of Slurm's, or one task of a job array.

    Attributes:
        number: its own id, also as a task.
        array: the id of the job array that it is a task of.
        gpus: the devices that were allocated to it.
        minutes: its time limit.
    """

    number: int
    array: int | None
    rule: str
    partition: str
    node: str
    gpus: str
    cpus: int
    minutes: int
    state: str


def jobs(folder: Path) -> list[Job]:
    """All jobs so far, in the order of their submission; none may still run."""
    ended = {
        int(fields["JobId"]): fields
        for fields in map(_fields, (folder / "completed").read_text().splitlines())
    }
    started = sorted((folder / "started").iterdir(), key=lambda path: int(path.name))
    return [_job(_fields(path.read_text()), ended[int(path.name)]) for path in started]


def _job(start: dict[str, str], end: dict[str, str]) -> Job:
    assert start["Partition"] == end["Partition"] and start["NodeList"] == end["NodeList"]
    # Written by the plugin.
    comment = re.fullmatch(r"rule_(.+?)(_wildcards_.*)?", start["Comment"])
    assert comment is not None, start["Comment"]
    return Job(
        number=int(start["JobId"]),
        array=int(start["ArrayJobId"]) if "ArrayJobId" in start else None,
        rule=comment[1],
        partition=end["Partition"],
        node=end["NodeList"],
        gpus=start["GRES"],
        cpus=int(start["NumCPUs"]),
        minutes=int(end["TimeLimit"]),
        state=end["JobState"],
    )


def _fields(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)
