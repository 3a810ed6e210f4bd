"""Every path under results/: the patterns that rules use, and what a path stands for.

A pattern is a path with Snakemake's wildcards in braces. `PATTERNS` lists them all, so that
whatever writes, reads or checks results agrees with the rules.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from timelapse.steps import PART, STEP, step_name

RESULTS = "results"

DATASET = "results/datasets/{task}/{split}.parquet"
MODEL = "results/models/{model}"
CHECKPOINTS = "results/runs/{run}/checkpoints"
CHECKPOINT = "results/runs/{run}/checkpoints/step-{step}"
TRAINING = "results/runs/{run}/training.parquet"
TABLE = "results/runs/{run}/{task}/{table}/{part}.parquet"
COMPARISON = "results/runs/{run}/{task}/comparison.parquet"
HEADS = "results/runs/{run}/{task}/heads.parquet"
CIRCUITS = "results/runs/{run}/{task}/circuits"
GRAPHML = "results/runs/{run}/{task}/circuits/step-{step}.graphml"
IMPORTANCES = "results/runs/{run}/{task}/circuits/step-{step}.importances.json"
FILM = "results/runs/{run}/{task}/figures/{film}.gif"
FRAME = "results/runs/{run}/{task}/figures/{film}/step-{step}.{suffix}"
TASK_OVERVIEW = "results/runs/{run}/{task}/figures/{overview}.png"
RUN_OVERVIEW = "results/runs/{run}/figures/{overview}.png"
SUMMARY = "results/runs/{run}/summary.parquet"
SUMMARY_TEXT = "results/runs/{run}/summary.md"

PATTERNS: Mapping[str, str] = {
    name.lower(): value
    for name, value in dict(globals()).items()
    if isinstance(value, str) and value.startswith("results/")
}
"""All patterns by name, such as "table" and "frame"."""

_NAME = r"[A-Za-z]\w*"
_VALUES = {
    "step": STEP,
    "part": PART,
    "split": "train|validation|test|rejected",
    "suffix": "png|svg|json",
}
"""What a wildcard may stand for; any name of letters, digits and underscores if not listed."""


def fill(pattern: str, **wildcards: str) -> str:
    """A pattern with some of its wildcards filled in; the others stay.

    >>> fill(TABLE, table="edges", part="000000-000184")
    'results/runs/{run}/{task}/edges/000000-000184.parquet'
    """
    for name, value in wildcards.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    return pattern


def table(name: str) -> str:
    """The pattern of a table's files, with the wildcards {run}, {task} and {part}.

    >>> table("edges")
    'results/runs/{run}/{task}/edges/{part}.parquet'
    """
    return fill(TABLE, table=name)


def step_folder(checkpoints: str | Path, step: int) -> Path:
    """The folder of a step in a folder of checkpoints.

    >>> str(step_folder("results/runs/a/checkpoints", 8))
    'results/runs/a/checkpoints/step-000008'
    """
    return Path(checkpoints, f"step-{step_name(step)}")


def step_of(folder: str | Path) -> int:
    """The step of a checkpoint's folder.

    >>> step_of("results/runs/a/checkpoints/step-000008")
    8
    """
    return int(Path(folder).name.removeprefix("step-"))


@dataclass(frozen=True)
class Location:
    """What a path under results/ stands for.

    Attributes:
        kind: the name of its pattern in `PATTERNS`, such as "table" or "film".
        wildcards: what the pattern's wildcards stand for.
    """

    kind: str
    wildcards: Mapping[str, str] = field(default_factory=dict)

    @property
    def run(self) -> str | None:
        """The run that it belongs to, if any."""
        return self.wildcards.get("run")

    @property
    def task(self) -> str | None:
        """The task that it belongs to, if any."""
        return self.wildcards.get("task")

    @property
    def table(self) -> str | None:
        """The name of its table: of a part its folder's, else the file's; None if it is none."""
        if self.kind == "table":
            return self.wildcards["table"]
        return self.kind if self.kind in ("training", "comparison", "heads", "summary") else None


def parse(path: str | Path) -> Location | None:
    """What a path stands for; None if no rule of any study makes it.

    Args:
        path: with a folder `results` in it; what comes before does not matter.

    >>> parse("/home/me/results/runs/a/ioi3/edges/000000-000184.parquet")
    Location(kind='table', wildcards={'run': 'a', 'task': 'ioi3', 'table': 'edges', \
'part': '000000-000184'})
    >>> parse("results/notes/mine.parquet") is None
    True
    """
    parts = Path(path).parts
    if RESULTS not in parts:
        return None
    start = len(parts) - 1 - parts[::-1].index(RESULTS)
    relative = "/".join(parts[start:])
    for kind, pattern in _compiled().items():
        if found := pattern.fullmatch(relative):
            return Location(kind, found.groupdict())
    return None


def target_of(path: str | Path) -> Path:
    """What to ask Snakemake for so that a file or folder is made again.

    Of checkpoints and exported circuits this is the folder that all steps of a run lie in.

    >>> str(target_of("results/runs/a/checkpoints/step-000008"))
    'results/runs/a/checkpoints'
    >>> str(target_of("results/runs/a/training.parquet"))
    'results/runs/a/training.parquet'
    """
    location = parse(path)
    by_folder = location is not None and location.kind in ("checkpoint", "graphml", "importances")
    return Path(path).parent if by_folder else Path(path)


def tables_of(paths: Iterable[str | Path]) -> dict[tuple[str, str], list[Path]]:
    """Table files by their task and table, in the order in which they come.

    Raises:
        ValueError: a path is no table of a task.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for path in map(Path, paths):
        location = parse(path)
        if location is None or location.task is None or location.table is None:
            raise ValueError(f"{path} is no table of a task")
        found.setdefault((location.task, location.table), []).append(path)
    return found


@cache
def _compiled() -> dict[str, re.Pattern[str]]:
    def group(name: re.Match[str]) -> str:
        return f"(?P<{name[1]}>{_VALUES.get(name[1], _NAME)})"

    return {
        kind: re.compile(re.sub(r"\{(\w+)\}", group, pattern.replace(".", r"\.")))
        for kind, pattern in PATTERNS.items()
    }
