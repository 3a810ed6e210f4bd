"""Where a run's checkpoints come from: every source, declared once.

A run is a source of checkpoints; what measures and draws them does not know which. A source has a
rule that writes the folder `results/runs/{run}/checkpoints`, with a folder step-NNNNNN for each
step. To add one: write the function and the rule that make that folder, and declare the source
here. Nothing heavy is imported.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from timelapse.files.validation import Name, Seed, StrictModel, Unique, check_one_key
from timelapse.models.sources import Mistake
from timelapse.steps import kept_steps

Step = Annotated[int, Field(ge=0, le=999_999)]
Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=10_000), Unique()]


class Checkpoints(StrictModel):
    """Which steps are kept: one of these keys."""

    every: Annotated[int, Field(ge=1, le=999_999)] | None = None
    """Every so many steps."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=10_000), Unique()] | None = (
        None
    )
    """These steps."""
    log_spaced: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """So many steps from 1 to the last, evenly spaced on a logarithmic axis."""

    @model_validator(mode="after")
    def _one(self) -> "Checkpoints":
        check_one_key(self, "checkpoints are chosen in one way")
        return self


class FineTuning(StrictModel):
    """A run whose checkpoints come from fine-tuning a model on a task."""

    source: Literal["finetuning"] = "finetuning"
    """Where the checkpoints come from."""
    model: Name
    """The model it starts from."""
    task: Name
    """The task it is trained on."""
    evaluate: Annotated[tuple[Name, ...], Field(min_length=1), Unique()] | None = None
    """The tasks on which every checkpoint is measured; the trained task if left out."""
    controls: Annotated[tuple[Name, ...], Unique()] = ()
    """Tasks that have nothing to do with the run. The verdict on its circuit asks whether it
    shares more with the circuits of the evaluated tasks than with theirs; they are looked for in
    the first checkpoint alone."""
    steps: int = Field(ge=1, le=999_999)
    """Optimiser steps; six digits, as in the paths of checkpoints."""
    batch: int = Field(16, ge=1, le=1_000_000)
    """Prompts in a step."""
    learning_rate: float = Field(1e-5, gt=0, le=1)
    """Peak learning rate."""
    warmup: int = Field(0, ge=0, le=999_999)
    """Steps of linear warm-up."""
    decay: int = Field(0, ge=0, le=999_999)
    """Steps of linear decay at the end."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    """AdamW's weight decay."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 trains under autocast; weights stay float32."""
    seed: Seed | None = None
    """Seed of this run alone instead of the study's."""
    seeds: Annotated[tuple[Seed, ...], Field(max_length=1000), Unique()] = ()
    """Seeds with which the run is repeated, and its model too if it is embedded; the summary
    carries their spread. Seed 1 of run NAME is the run NAME_seed1."""
    circuits: bool = True
    """Whether its circuits are looked for; not possible for every architecture."""
    checkpoints: Checkpoints = Checkpoints(every=8)
    """Which steps are kept, besides 0 and the last: `every: 8`, `steps: [1, 10, 100]`, or
    `log_spaced: 20`. At most 10,000."""

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The tasks on which its checkpoints are measured."""
        return self.evaluate or (self.task,)


@dataclass(frozen=True)
class RunSource:
    """A way to come by the checkpoints of a run.

    Attributes:
        name: the value of `runs.NAME.source` in a config.
        settings: what else stands at `runs.NAME`.
        rule: the rule that makes the run's folder of checkpoints.
        steps: the steps of its checkpoints, ascending.
        recipe: all that its checkpoints depend on besides the model, the dataset, the kept steps
            and the seed, as plain data.
        mistakes: what does not fit together in the settings.
    """

    name: str
    settings: type[StrictModel]
    rule: str
    steps: Callable[[Any], tuple[int, ...]]
    recipe: Callable[[Any], dict[str, Any]]
    mistakes: Callable[[Any], Iterator[Mistake]] = lambda settings: iter(())


_RECIPE = {"steps", "batch", "learning_rate", "warmup", "decay", "weight_decay", "dtype"}


def _steps_of_finetuning(run: FineTuning) -> tuple[int, ...]:
    return kept_steps(run.checkpoints.model_dump(exclude_none=True), run.steps)


def _mistakes_of_finetuning(run: FineTuning) -> Iterator[Mistake]:
    if run.warmup + run.decay > run.steps:
        problem = f"warm-up and decay take {run.warmup + run.decay} steps, there are {run.steps}"
        yield ("decay",), problem, "Shorten one of them or raise `steps`"
    last = _steps_of_finetuning(run)[-1]
    if last > run.steps:
        problem = f"step {last} comes after the last, {run.steps}"
        yield ("checkpoints", "steps"), problem, "Raise `steps` or leave that checkpoint out"


_ALL = (
    RunSource(
        name="finetuning",
        settings=FineTuning,
        rule="finetune",
        steps=_steps_of_finetuning,
        recipe=lambda run: run.model_dump(include=_RECIPE),
        mistakes=_mistakes_of_finetuning,
    ),
)

RUN_SOURCES: Mapping[str, RunSource] = {source.name: source for source in _ALL}
"""All sources by name."""
