"""What a study's config may say: pydantic models with a description of every key.

`workflow/schemas/config.schema.yaml` is generated from them, see `study.schema`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from timelapse.figures.options import SECTIONS
from timelapse.files.validation import Name, Seed, StrictModel, check_one_key
from timelapse.models.run_sources import FineTuning
from timelapse.models.sources import SOURCES, Folder, ModelSource
from timelapse.probes.probe_settings import Comparison, EdgesSettings, ProbeSettings
from timelapse.probes.registry import PROBES


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


class _ModelSettings(StrictModel):
    """Where a model comes from: one of these keys."""

    @model_validator(mode="after")
    def _one(self) -> "_ModelSettings":
        check_one_key(self, "a model has one source")
        return self

    @property
    def source(self) -> ModelSource:
        """Where the model comes from."""
        return next(s for s in SOURCES.values() if getattr(self, s.name) is not None)

    @property
    def settings(self) -> Any:
        """What stands below the source's key."""
        return getattr(self, self.source.name)


_SOURCE_FIELDS: dict[str, Any] = {
    source.name: (source.settings | None, Field(None, description=source.description))
    for source in SOURCES.values()
}
ModelSettings = create_model(
    "ModelSettings", __base__=_ModelSettings, __doc__=_ModelSettings.__doc__, **_SOURCE_FIELDS
)


class Films(StrictModel):
    """The films over the checkpoints of a run."""

    checkpoints: int = Field(100, ge=2, le=10_000)
    """How many checkpoints a film shows at most, evenly spread."""


_SECTION_FIELDS: dict[str, Any] = {name: (options, options()) for name, options in SECTIONS.items()}
Figures = create_model(
    "Figures",
    __base__=StrictModel,
    __doc__="Options of the figures; a figure that is not named here is drawn with the defaults.",
    **_SECTION_FIELDS,
)


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
    models: Annotated[dict[Name, ModelSettings], Field(min_length=1)]
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
