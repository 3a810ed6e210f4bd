"""What a study can set of each probe, with defaults; the config's models are made of these.

Free of torch. `registry` says which probe has which settings.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from timelapse.circuits.methods import METHODS
from timelapse.files.validation import StrictModel, Unique

if TYPE_CHECKING:
    Method = str
else:
    Method = Literal[tuple(METHODS)]
Ablation = Literal["resample", "mean", "zero"]
Batch = Literal["auto"] | Annotated[int, Field(ge=1, le=1_000_000)]
Head = Annotated[str, Field(pattern=r"^a[0-9]{1,4}\.h[0-9]{1,4}$")]
Row = Annotated[int, Field(ge=0, le=10_000_000)]


class ProbeSettings(StrictModel):
    """What a study can set of every probe; enough for most.

    Attributes:
        prompts: how many of the task's prompts are measured; all if there are fewer.
        batch: prompts in one forward pass. auto: 100, on a GPU that many for every 8 GiB of its
            memory. Halved where memory runs out.
    """

    prompts: int = Field(408, ge=1, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""
    batch: Batch = "auto"
    """Prompts in one forward pass. auto: 100, on a GPU that many for every 8 GiB of its memory.
    Halved where memory runs out."""


class LogitDiffSettings(ProbeSettings):
    """The logit difference by stream, layer and head."""

    prompts: int = Field(204, ge=1, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""


class PatchingSettings(ProbeSettings):
    """What clean activations restore in corrupted prompts."""

    prompts: int = Field(48, ge=1, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""


class AttentionSettings(ProbeSettings):
    """Where heads attend, and which have changed where they attend since step 0."""

    prompts: int = Field(204, ge=1, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""
    heads: Annotated[tuple[Head, ...], Unique()] = ()
    """Heads whose whole patterns are kept, such as a3.h1."""
    examples: Annotated[tuple[Row, ...], Field(min_length=1), Unique()] = (0,)
    """The measured prompts on which they are kept, counted from 0."""
    resamples: int = Field(1000, ge=1, le=100_000)
    """Resamples of the bootstrap over prompts."""


class HeadRolesSettings(ProbeSettings):
    """How much of a previous-token head, an induction head, a name mover ... each head is."""

    prompts: int = Field(108, ge=1, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""
    sequences: int = Field(32, ge=1, le=100_000)
    """Sequences of random words that are repeated."""
    length: int = Field(50, ge=3, le=16_384)
    """Words in the longest; fewer if the model's context is short."""


class LogitLensSettings(ProbeSettings):
    """What the model would predict if it stopped at each layer."""

    prompts: int = Field(204, ge=1, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""
    top: int = Field(5, ge=1, le=1000)
    """How many of the likeliest tokens of a layer are kept."""


class EdgesSettings(ProbeSettings):
    """The score of every edge between the parts of the model."""

    prompts: int = Field(108, ge=2, le=10_000_000)
    """How many of the task's test prompts are measured; all if there are fewer."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1), Unique()] = ("EAP-IG",)
    """How edges are scored. Circuits are chosen, measured and compared by the first, which is not
    `node`."""
    ig_steps: int = Field(5, ge=1, le=1000)
    """Points of integrated gradients."""
    ablation: Ablation = "resample"
    """What parts that are switched off write in exact, node-ablation and ACDC: what they write for
    the corrupted prompt, its mean over corrupted prompts, or nothing."""
    keep: float = Field(0.8, gt=0, le=1)
    """Share of the metric that the circuit of node-ablation keeps."""
    threshold: float = Field(0.01, ge=0, le=1000)
    """Share of the metric that an edge dropped by ACDC may cost."""
    positions: bool = False
    """Whether scores are also kept by labelled position (edges_by_position). Only EAP, EAP-IG,
    EAP-IG-activations, clean-corrupted and node split theirs; exact, node-ablation and ACDC have no
    rows there."""


class FaithfulnessSettings(ProbeSettings):
    """How much of the behaviour the circuits of a method keep."""

    prompts: int = Field(60, ge=2, le=10_000_000)
    """How many of the task's validation prompts are measured; all if there are fewer."""
    ablation: Ablation = "resample"
    """What edges outside the circuit carry: what their source writes for the corrupted prompt, its
    mean over corrupted prompts, or nothing."""


class Comparison(ProbeSettings):
    """How circuits are compared over checkpoints and tasks: the study's `comparison`."""

    prompts: int = Field(60, ge=2, le=10_000_000)
    """How many of the task's validation prompts are measured; all if there are fewer."""
    edges: int = Field(50, ge=1, le=1_000_000_000)
    """Edges of every compared circuit before pruning; fewer than the model has."""
    checkpoints: int = Field(24, ge=2, le=1000)
    """How many checkpoints are compared with each other at most, evenly spread."""
    resamples: int = Field(200, ge=2, le=100_000)
    """Resamples of the bootstrap over prompts."""
    splits: int = Field(50, ge=1, le=10_000)
    """Random halvings of the prompts for the split-half null."""
