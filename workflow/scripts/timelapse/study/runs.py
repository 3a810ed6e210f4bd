"""A run: a fine-tuning, the steps that it keeps, and where what it leaves behind lies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from timelapse.errors import UserError


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


def step_name(step: int) -> str:
    """A step as it stands in paths.

    >>> step_name(8)
    '000008'
    """
    return f"{step:06d}"


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


def repeat_name(name: str, seed: int) -> str:
    """The name of a run, or of its model, repeated with a seed: `two_to_three_seed1`."""
    return f"{name}_seed{seed}"


def with_repeats(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A study's config with its repeats written out as runs of their own.

    A repeat has another seed and nothing else. If its model is embedded, the model is trained anew
    with that seed too; a model that was fetched is the same for all repeats.

    Args:
        document: a validated config.
        source: where it came from, for messages.

    Raises:
        UserError: a repeat has the seed of its run, or the name of another run or model.
    """
    models, runs = dict(document["models"]), dict(document["runs"])
    for name, settings in document["runs"].items():
        seeds = settings.get("seeds", [])
        own = settings.get("seed", document["seed"])
        if own in seeds:
            raise UserError(
                source, f"runs.{name}.seeds", f"{own} is the run's own seed", "List the others"
            )
        for seed in seeds:
            model = _repeated_model(models, settings["model"], seed, (source, name))
            repeat = repeat_name(name, seed)
            if repeat in document["runs"]:
                raise UserError(
                    source,
                    f"runs.{name}.seeds",
                    f"seed {seed} makes a run {repeat!r}, which is there already",
                    "Rename that run or leave the seed out",
                )
            kept = {key: value for key, value in settings.items() if key != "seeds"}
            runs[repeat] = {**kept, "model": model, "seed": seed}
    return {**document, "models": models, "runs": runs}


def _repeated_model(models: dict[str, Any], name: str, seed: int, where: tuple[str, str]) -> str:
    """The name of a run's model under another seed; it is added to `models` if it is embedded."""
    if "embedded" not in models.get(name, {}):
        return name
    repeat = repeat_name(name, seed)
    settings = {"embedded": {**models[name]["embedded"], "seed": seed}}
    if models.setdefault(repeat, settings) != settings:
        source, run = where
        raise UserError(
            source,
            f"runs.{run}.seeds",
            f"seed {seed} makes a model {repeat!r}, which is there already and another one",
            "Rename that model or leave the seed out",
        )
    return repeat
