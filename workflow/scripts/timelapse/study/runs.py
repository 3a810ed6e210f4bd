"""A run: a source of checkpoints, the parts that they are measured in, and their tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from timelapse import paths
from timelapse.errors import UserError
from timelapse.steps import Granularity, Part, parts, parts_with, spread

COMPARED = {"transfer"}
"""The tables that have only the steps whose circuits are compared."""


@dataclass(frozen=True)
class Run:
    """A source of checkpoints: its model, its task, and the tasks that they are measured on.

    Attributes:
        name: part of all its paths.
        model: the model it starts from.
        task: the task it is trained on.
        evaluate: the tasks that its checkpoints are measured on.
        steps: the steps that are kept as checkpoints, ascending.
        recipe: how it is trained.
        seed: of its training.
        repeats: the runs that are like it but for the seed.
        controls: unrelated tasks, whose circuits in the first checkpoint are compared with.
        circuits: whether its circuits are asked for.
        granularity: how many checkpoints a job measures.
        most_compared: how many checkpoints' circuits are compared with each other at most.
        source: where its checkpoints come from, see `models.run_sources.RUN_SOURCES`.
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
    granularity: Granularity = "run"
    most_compared: int = 24
    source: str = "finetuning"

    @property
    def training(self) -> dict[str, Any]:
        """All that its checkpoints depend on besides the model and the dataset."""
        return {"recipe": self.recipe, "steps": list(self.steps), "seed": self.seed}

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks that it needs; one may be in it twice."""
        return (self.task, *self.evaluate, *self.controls)

    @cached_property
    def compared(self) -> tuple[int, ...]:
        """The steps whose circuits are compared, ascending."""
        return spread(self.steps, self.most_compared)

    def parts(self, table: str, task: str) -> list[Part]:
        """The parts of a table: of all steps, of those compared, or of a control's first.

        Args:
            table: a probe's table.
            task: one of the run's tasks.
        """
        if task in self.controls:
            return [Part(self.steps[:1])]
        return self._parts_compared if table in COMPARED else self._parts

    def part(self, table: str, task: str, name: str) -> Part:
        """The part of this name.

        Raises:
            UserError: the study has no such part.
        """
        try:
            return self._by_name[table in COMPARED, task in self.controls][name]
        except KeyError:
            names = list(self._by_name[table in COMPARED, task in self.controls])
            known = (
                ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} ... {names[-1]}"
            )
            raise UserError(
                paths.fill(paths.TABLE, run=self.name, task=task, table=table, part=name),
                "",
                "the study's run has no such part",
                f"Ask for {known}, or set granularity and checkpoints so that there is one",
            ) from None

    def tables(self, table: str, task: str, steps: Iterable[int] | None = None) -> list[str]:
        """The files of a probe's table that hold some steps, by default all that are kept.

        Args:
            table: the name of the table.
            task: one of the run's tasks.
            steps: of the kept steps; others are in no file.
        """
        all_parts = self.parts(table, task)
        found = all_parts if steps is None else parts_with(all_parts, steps)
        folder = f"results/runs/{self.name}/{task}/{table}"
        return [f"{folder}/{part.name}.parquet" for part in found]

    @cached_property
    def _parts(self) -> list[Part]:
        return parts(self.steps, self.granularity)

    @cached_property
    def _parts_compared(self) -> list[Part]:
        return parts(self.compared, self.granularity)

    @cached_property
    def _by_name(self) -> dict[tuple[bool, bool], dict[str, Part]]:
        """Parts by name, by whether they are of compared steps, and of a control."""
        first = [Part(self.steps[:1])]
        every = {
            (False, False): self._parts,
            (True, False): self._parts_compared,
            (False, True): first,
            (True, True): first,
        }
        return {key: {part.name: part for part in of_key} for key, of_key in every.items()}
