"""What a study's config may say: pydantic models with a description of every key.

`workflow/schemas/config.schema.yaml` is generated from them, see `study.schema`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from timelapse.files.validation import Name, StrictModel, Unique, mistake
from timelapse.probes.registry import PROBES, Comparison, EdgesSettings, Method, ProbeSettings

Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
Folder = Annotated[str, Field(pattern=r"^[^~$\x00-\x1f\x7f][^$\x00-\x1f\x7f]*$", max_length=1000)]
"""A path that is taken as it is written; what a shell would fill in is refused."""
Step = Annotated[int, Field(ge=0, le=999_999)]
Steps = Annotated[tuple[Step, ...], Field(min_length=1, max_length=10_000), Unique()]


class Activations(StrictModel):
    """How activations are kept in the store."""

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Half of the disk, at the price of rounding what probes read."""
    cap_gb: float = Field(10, ge=0, le=1e9)
    """Largest size in 10^9 bytes; the least recently used go first. 0 keeps none."""
    rows: int = Field(50, ge=1, le=1_000_000)
    """Dataset rows in one cache file and one forward pass. What probes measure is rounded up to it,
    so let it divide their `prompts`."""


class Compute(StrictModel):
    """How models run on the device that a job finds."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the models that are measured. auto: float32, but bfloat16 if the weights would fill more
    than a quarter of a GPU's memory."""
    tf32: Literal["auto", True, False] = "auto"
    """Whether a GPU may round products of float32 matrices to TF32. auto: while training, not while
    measuring."""


class EmbeddedModel(StrictModel):
    """A small GPT-2 that the workflow trains from scratch on a mixture of tasks."""

    layers: int = Field(4, ge=1, le=100)
    """Number of blocks."""
    heads: int = Field(4, ge=1, le=100)
    """Attention heads in a block; they divide the width."""
    width: int = Field(128, ge=8, le=16_384)
    """Width of the residual stream."""
    mlp_width: int | None = Field(None, ge=1, le=65_536)
    """Neurons of an MLP; four times the width if left out."""
    context: int = Field(32, ge=8, le=16_384)
    """Tokens in a training row and longest prompt."""
    mixture: Annotated[dict[Name, Annotated[float, Field(ge=1e-6, le=1e6)]], Field(min_length=1)]
    """Weight of each task among the training texts."""
    steps: int = Field(3000, ge=1, le=9_999_999)
    """Optimiser steps."""
    batch: int = Field(32, ge=1, le=1_000_000)
    """Rows in a step."""
    learning_rate: float = Field(2e-3, gt=0, le=1)
    """Peak learning rate."""
    seed: Seed | None = None
    """Seed of this model alone instead of the study's."""


def _check_one_key(settings: StrictModel, rule: str) -> None:
    """Check that of keys that exclude each other one is given.

    Raises:
        PydanticCustomError: none, or several.
    """
    given = [key for key in type(settings).model_fields if getattr(settings, key) is not None]
    known = ", ".join(type(settings).model_fields)
    if not given:
        raise mistake(f"none of the keys is given, {rule}", f"Give one of: {known}")
    if len(given) > 1:
        raise mistake(
            f"{' and '.join(given)} are given together, {rule}",
            f"Keep one; in a config that extends another, null takes away what is there "
            f"(`{given[-1]}: null`)",
        )


class ModelSource(StrictModel):
    """Where a model comes from: one of these keys."""

    folder: Folder | None = None
    """A Hugging Face folder (config.json, safetensors, tokenizer.json), without ~ or $, which are
    not filled in; one that is not in the working directory may be shipped with the workflow."""
    hub: (
        Annotated[
            str,
            Field(
                pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$",
                max_length=200,
            ),
        ]
        | None
    ) = None
    """A name on the Hugging Face hub, such as gpt2; downloaded once."""
    embedded: EmbeddedModel | None = None
    """A small GPT-2 that the workflow trains from scratch on a mixture of tasks."""

    @model_validator(mode="after")
    def _one(self) -> "ModelSource":
        _check_one_key(self, "a model has one source")
        return self


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
        _check_one_key(self, "checkpoints are chosen in one way")
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

    @property
    def schedule(self) -> dict[str, Any]:
        """Which steps are kept, as `steps.kept_steps` takes it."""
        return self.checkpoints.model_dump(exclude_none=True)


class Films(StrictModel):
    """The films over the checkpoints of a run."""

    checkpoints: int = Field(100, ge=2, le=10_000)
    """How many checkpoints a film shows at most, evenly spread."""


class CircuitFigure(StrictModel):
    """The graph of the strongest edges, also in circuit_first_last and circuit_tasks."""

    edges: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Edges of every drawn circuit before pruning; comparison.edges if left out."""
    method: Method | None = None
    """What scored the drawn edges; the study's method if left out."""
    corruption: Name | None = None
    """The corruption whose circuit is drawn, or `pooled` for the mean over all. If left out, each
    has a panel in the film, and the other pictures are pooled."""


class AttentionChangeFigure(StrictModel):
    """The heads whose attention has changed most."""

    top: Annotated[int, Field(ge=1, le=7)] | None = None
    """Heads that are told apart."""


class HeadRolesFigure(StrictModel):
    """Which heads hold which role."""

    top: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Heads shown for a role at most."""


class HeadTrajectoriesFigure(StrictModel):
    """What became of every head."""

    named: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Heads that are named in each panel."""


class Figures(StrictModel):
    """Options of the figures; a figure that is not named here is drawn with the defaults."""

    circuit: CircuitFigure = CircuitFigure()
    attention_change: AttentionChangeFigure = AttentionChangeFigure()
    head_roles: HeadRolesFigure = HeadRolesFigure()
    head_trajectories: HeadTrajectoriesFigure = HeadTrajectoriesFigure()


# The settings of `transfer` are the study's `comparison`.
_PROBE_FIELDS: dict[str, Any] = {
    probe.name: (probe.settings, probe.settings())
    for probe in PROBES.values()
    if probe.settings is not Comparison
}
Probes = create_model(
    "Probes",
    __base__=StrictModel,
    __doc__="What is measured at every checkpoint on every evaluated task.",
    **_PROBE_FIELDS,
)


class Config(StrictModel):
    """A study: which models, runs, probes and figures. config.yaml is the default study."""

    extends: str | None = Field(None, max_length=1000)
    """Another config, relative to this file, over which this one is laid: what is said here goes
    before what is said there, and a key that is null here is removed."""
    seed: Seed = 0
    """Everything random in the study comes from it."""
    granularity: Literal["run", "checkpoint"] | Annotated[int, Field(ge=1, le=10_000)] = "run"
    """How many checkpoints of a run a job measures: run (all of them: fewest imports), a number, or
    checkpoint (one, which spreads a probe over as many machines as there are checkpoints). The
    tables are the same."""
    store: Folder = ".cache/timelapse"
    """Folder for what must survive a killed job (training states) and what jobs share
    (activations). May be on scratch, and shared by studies; not in results/, and without ~ or $,
    which are not filled in."""
    tasks: Folder = "tasks"
    """Folder of task specs, without ~ or $, which are not filled in. A task that is not in it is
    looked for among those shipped with the workflow."""
    activations: Activations = Activations()
    compute: Compute = Compute()
    models: Annotated[dict[Name, ModelSource], Field(min_length=1)]
    """Where runs start, by name."""
    runs: Annotated[dict[Name, FineTuning], Field(min_length=1)]
    """Sources of checkpoints, by name."""
    probes: Probes = Probes()
    comparison: Comparison = Comparison()
    films: Films = Films()
    figures: Figures = Figures()

    @property
    def edges(self) -> EdgesSettings:
        """How edges are scored."""
        settings = self.probe_settings["edges"]
        assert isinstance(settings, EdgesSettings)
        return settings

    @property
    def probe_settings(self) -> dict[str, ProbeSettings]:
        """The settings of every probe, by its name."""
        return {name: getattr(self.probes, name) for name in _PROBE_FIELDS}
