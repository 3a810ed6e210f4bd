"""What Slurm itself has written down of its jobs: as they started, and as they ended."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One job of Slurm's; `gpus` names the devices that were allocated to it."""

    number: int
    rule: str
    partition: str
    node: str
    gpus: str
    cpus: int
    state: str


def jobs(folder: Path) -> list[Job]:
    """All jobs that have started and ended, in the order of their submission."""
    ended = {
        int(fields["JobId"]): fields
        for fields in map(_fields, (folder / "completed").read_text().splitlines())
    }
    started = sorted(folder.glob("started/[0-9]*"), key=lambda path: int(path.name))
    return [
        _job(_fields(path.read_text()), ended[int(path.name)])
        for path in started
        if int(path.name) in ended
    ]


def _job(start: dict[str, str], end: dict[str, str]) -> Job:
    assert start["Partition"] == end["Partition"] and start["NodeList"] == end["NodeList"]
    comment = re.fullmatch(r"rule_(.+?)(_wildcards_.*)?", start["Comment"])
    assert comment is not None, start["Comment"]
    return Job(
        number=int(start["JobId"]),
        rule=comment[1],
        partition=end["Partition"],
        node=end["NodeList"],
        gpus=start["GRES"],
        cpus=int(start["NumCPUs"]),
        state=end["JobState"],
    )


def _fields(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)
