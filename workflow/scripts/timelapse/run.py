"""A run: a fine-tuning, the steps that it keeps, and where what it leaves behind lies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """A fine-tuning: its model, its task, and the tasks that its checkpoints are measured on.

    Attributes:
        name: part of all its paths.
        model: the model it starts from.
        task: the task it is trained on.
        evaluate: the tasks that its checkpoints are measured on.
        steps: the steps that are kept as checkpoints, ascending.
        recipe: how it is trained.
        seed: of its training.
        repeats: the runs that are like it but for the seed.
        controls: tasks whose circuits in the first checkpoint the verdict is held against.
        circuits: whether its circuits are asked for.
    """

    name: str
    model: str
    task: str
    evaluate: tuple[str, ...]
    steps: tuple[int, ...]
    recipe: dict[str, Any]
    seed: int
    repeats: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    circuits: bool = True

    @property
    def step_names(self) -> tuple[str, ...]:
        """The kept steps as they stand in paths: `000000`, `000008`, ..."""
        return tuple(f"{step:06d}" for step in self.steps)

    @property
    def training(self) -> dict[str, Any]:
        """All that its checkpoints depend on besides the model and the dataset."""
        return {"recipe": self.recipe, "steps": list(self.steps), "seed": self.seed}

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks that it needs; one may be in it twice."""
        return (self.task, *self.evaluate, *self.controls)

    @property
    def checkpoints(self) -> list[str]:
        """The folders of the kept steps."""
        return [f"results/runs/{self.name}/checkpoints/step-{step}" for step in self.step_names]

    def tables(self, probe: str, task: str = "{task}") -> list[str]:
        """A probe's tables of the kept steps, by default with a wildcard for the task."""
        folder = f"results/runs/{self.name}/{task}/{probe}"
        return [f"{folder}/step-{step}.parquet" for step in self.step_names]

    def control_tables(self, probe: str, task: str = "{task}") -> list[str]:
        """A probe's tables of a control: that of the first checkpoint alone."""
        return self.tables(probe, task)[:1]

    def whole_patterns(self, probes: Mapping[str, Any]) -> dict[str, list[str]]:
        """The tables of whole attention patterns, if a study's probes name heads."""
        named = probes["attention"]["heads"]
        return {"attention_pattern": self.tables("attention_pattern")} if named else {}

    def edges_by_position(self, probes: Mapping[str, Any]) -> dict[str, list[str]]:
        """The tables of edge scores by position, if a study's probes ask for them."""
        wanted = probes["edges"]["positions"]
        return {"edges_by_position": self.tables("edges_by_position")} if wanted else {}

    def frames(self, folder: str, *suffixes: str) -> list[str]:
        """The pictures of the kept steps in a figure's folder, and last their film."""
        pictures = [
            f"{folder}/step-{step}.{suffix}" for step in self.step_names for suffix in suffixes
        ]
        return [*pictures, f"{folder}.gif"]

    def circuits_for_others(self, suffix: str) -> list[str]:
        """The circuits of the kept steps in a format of other tools."""
        folder = f"results/runs/{self.name}/{{task}}/circuits"
        return [f"{folder}/step-{step}.{suffix}" for step in self.step_names]


def kept_steps(schedule: Mapping[str, Any], last: int) -> tuple[int, ...]:
    """The steps that a schedule keeps, always with 0 and the last.

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
