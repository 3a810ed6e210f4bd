"""A run: a fine-tuning, the steps that it keeps, and where what it leaves behind lies."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from timelapse.steps import step_name


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
        return tuple(map(step_name, self.steps))

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
        return [self.checkpoint(name) for name in self.step_names]

    def checkpoint(self, step: str) -> str:
        """The folder of a step."""
        return f"results/runs/{self.name}/checkpoints/step-{step}"

    @property
    def training_table(self) -> str:
        """The table of its training."""
        return f"results/runs/{self.name}/training.parquet"

    def tables(self, probe: str, task: str, steps: Iterable[int] | None = None) -> list[str]:
        """A probe's tables of some steps, by default of all that are kept."""
        names = self.step_names if steps is None else map(step_name, steps)
        return [self.table(probe, task, name) for name in names]

    def table(self, probe: str, task: str, step: str) -> str:
        """A probe's table of a step."""
        return f"results/runs/{self.name}/{task}/{probe}/step-{step}.parquet"

    @staticmethod
    def frames(folder: str, steps: Iterable[int], *suffixes: str) -> list[str]:
        """The pictures of some steps in a figure's folder, and last their film."""
        pictures = [
            f"{folder}/step-{step_name(step)}.{suffix}" for step in steps for suffix in suffixes
        ]
        return [*pictures, f"{folder}.gif"]

    def circuits_for_others(self, task: str, suffix: str) -> list[str]:
        """The circuits of the kept steps in a format of other tools."""
        folder = f"results/runs/{self.name}/{task}/circuits"
        return [f"{folder}/step-{step}.{suffix}" for step in self.step_names]
