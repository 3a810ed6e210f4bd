"""A run: a source of checkpoints, the parts that they are measured in, and their tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from timelapse import paths
from timelapse.errors import UserError
from timelapse.steps import Granularity, Part, parts, parts_with, spread
from timelapse.study.config import Config, FineTuning, ModelSettings

Mistake = tuple[tuple[str, ...], str, str]
"""Path in the config, problem, remedy."""

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


def repeat_name(name: str, seed: int) -> str:
    """The name of a run, or of its model, repeated with a seed: `two_to_three_seed1`."""
    return f"{name}_seed{seed}"


def with_repeats(
    config: Config,
) -> tuple[dict[str, ModelSettings], dict[str, FineTuning], list[Mistake]]:
    """The models and runs of a config with its repeats among them.

    A repeat has another seed and nothing else. If its model's source is seeded, the model is made
    anew with that seed too; one that was fetched is the same for all repeats.

    Returns:
        Models and runs by name, and what is wrong with the repeats: the seed of the run itself, or
        the name of another run or model.
    """
    models, runs = dict(config.models), dict(config.runs)
    mistakes: list[Mistake] = []
    for name, run in config.runs.items():
        where = ("runs", name, "seeds")
        own = config.seed if run.seed is None else run.seed
        if own in run.seeds:
            mistakes.append((where, f"{own} is the run's own seed", "List the others"))
            continue
        for seed in run.seeds:
            repeat = repeat_name(name, seed)
            if repeat in config.runs:
                problem = f"seed {seed} makes a run {repeat!r}, which is there already"
                mistakes.append((where, problem, "Rename that run or leave the seed out"))
                continue
            model = run.model
            given = models.get(model)
            if given and given.source.is_seeded:
                model = repeat_name(model, seed)
                settings = given.settings.model_copy(update={"seed": seed})
                repeated = given.model_copy(update={given.source.name: settings})
                if models.setdefault(model, repeated) != repeated:
                    problem = (
                        f"seed {seed} makes a model {model!r}, which is there already and another "
                        "one"
                    )
                    mistakes.append((where, problem, "Rename that model or leave the seed out"))
            changes = {"model": model, "seed": seed, "seeds": ()}
            runs[repeat] = run.model_copy(update=changes)
    return models, runs, mistakes


def repeats_of(name: str, seeds: Iterable[int]) -> tuple[str, ...]:
    """The names of a run's repeats."""
    return tuple(repeat_name(name, seed) for seed in seeds)
