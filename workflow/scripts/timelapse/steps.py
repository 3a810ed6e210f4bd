"""Steps of a run: which are kept, how they are named, and how they are cut into parts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Granularity = int | Literal["run", "checkpoint"]
"""How many consecutive checkpoints a job measures: all of a run, so many, or one."""

STEP = r"\d{6}"
"""A step in a path, as a regular expression."""
PART = rf"{STEP}(-{STEP})?"
"""A part in a path, as a regular expression."""


@dataclass(frozen=True)
class Part:
    """Consecutive checkpoints that one job measures and one table file holds.

    Attributes:
        steps: ascending.
    """

    steps: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its first and last step, as they are named in paths.

        >>> Part((0, 8, 16)).name, Part((8,)).name
        ('000000-000016', '000008')
        """
        first, last = step_name(self.steps[0]), step_name(self.steps[-1])
        return first if len(self.steps) == 1 else f"{first}-{last}"


def step_name(step: int) -> str:
    """A step as it is named in paths: six digits.

    >>> step_name(8)
    '000008'
    """
    return f"{step:06d}"


def parts(steps: Sequence[int], granularity: Granularity) -> list[Part]:
    """Cut a run's steps into parts; the last may be shorter.

    Args:
        steps: ascending.
        granularity: how many of them a part has at most.

    >>> [part.name for part in parts((0, 8, 16), "run")]
    ['000000-000016']
    >>> [part.name for part in parts((0, 8, 16), 2)]
    ['000000-000008', '000016']
    >>> [part.name for part in parts((0, 8, 16), "checkpoint")]
    ['000000', '000008', '000016']
    """
    size = {"run": len(steps), "checkpoint": 1}.get(str(granularity)) or int(granularity)
    return [Part(tuple(steps[start : start + size])) for start in range(0, len(steps), size)]


def parts_with(all_parts: Iterable[Part], steps: Iterable[int]) -> list[Part]:
    """Those parts that hold at least one of the steps."""
    wanted = set(steps)
    return [part for part in all_parts if not wanted.isdisjoint(part.steps)]


def kept_steps(schedule: Mapping[str, Any], last: int) -> tuple[int, ...]:
    """The steps that a schedule keeps as checkpoints, always with 0 and the last.

    >>> kept_steps({"every": 8}, 20)
    (0, 8, 16, 20)
    >>> kept_steps({"steps": [3]}, 20)
    (0, 3, 20)
    >>> kept_steps({"log_spaced": 4}, 64)
    (0, 1, 4, 16, 64)
    """
    ((kind, value),) = schedule.items()
    if kind == "every":
        kept = set(range(0, last, value))
    elif kind == "steps":
        kept = set(value)
    else:
        kept = {round(last ** (place / (value - 1))) for place in range(value)}
    return tuple(sorted(kept | {0, last}))


def spread(steps: Iterable[int], limit: int) -> tuple[int, ...]:
    """At most `limit` of the steps, evenly spread, with the first and the last.

    Raises:
        ValueError: a limit under 2 for more than one step.

    >>> spread((0, 8, 16, 24, 32, 40), 3)
    (0, 16, 40)
    >>> spread((0, 8), 12)
    (0, 8)
    """
    ordered = sorted(steps)
    if limit >= len(ordered):
        return tuple(ordered)
    if limit < 2:
        raise ValueError(f"the first and the last step are always among them, so not {limit}")
    gap = (len(ordered) - 1) / (limit - 1)
    return tuple(ordered[round(place * gap)] for place in range(limit))
