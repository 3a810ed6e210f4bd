"""Where models come from: every source, declared once.

The config, rules, requests for memory and time, and checks read this. To add a source: write the
function that makes the folder of a model, and declare the source here. Nothing heavy is imported:
functions are named by their import path, `module:function`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from timelapse.files.validation import Name, Seed, StrictModel

Folder = Annotated[str, Field(pattern=r"^[^~$\x00-\x1f\x7f][^$\x00-\x1f\x7f]*$", max_length=1000)]
"""A path that is taken as it is written; what a shell would fill in is refused."""
HubName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$",
        max_length=200,
    ),
]
"""A name on the Hugging Face hub: no path, nothing above it."""


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
    initial_std: float = Field(0.06, gt=0, le=10)
    """Standard deviation of the weights before the first step."""
    attention_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of attention weights set to 0 in every training step, and in fine-tunings from this
    model."""
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


Mistake = tuple[tuple[str, ...], str, str]
"""Path below the source's key, problem, remedy."""


@dataclass(frozen=True)
class ModelSource:
    """A way to come by the model that runs start from.

    Attributes:
        name: its key under `models.NAME` in a config.
        settings: the type of what stands there, as pydantic takes it.
        description: of the key.
        rule: the rule that makes `results/models/{model}`.
        function: what makes it. Of rule fetch_model it takes the settings and the folder to write.
        is_path: whether the settings are a path, which may lie in the repository.
        is_online: whether its job may connect to the hub.
        is_seeded: whether a run that is repeated with another seed has a model of its own; the
            settings then have a key `seed`.
        files: the files that the model is made from, so that a change makes it anew.
        mixture: the tasks on whose texts it is trained and their weights.
        config: the model's shape, in the keys of Hugging Face's config.json, so far as it is known
            before the model is made.
        mistakes: what does not fit together in the settings.
    """

    name: str
    settings: Any
    description: str
    rule: str
    function: str
    is_path: bool = False
    is_online: bool = False
    is_seeded: bool = False
    files: Callable[[Any], list[str]] = lambda settings: []
    mixture: Callable[[Any], Mapping[str, float]] = lambda settings: {}
    config: Callable[[Any], Mapping[str, Any]] = lambda settings: {}
    mistakes: Callable[[Any], Iterator[Mistake]] = lambda settings: iter(())


def read_config_json(folder: str | Path) -> dict[str, Any]:
    """The config.json of a Hugging Face folder; empty if it cannot be read.

    What is wrong with it is reported when the model is loaded.
    """
    try:
        config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        return {**config, **(config.get("text_config") or {})}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _files_of_folder(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).iterdir() if path.is_file())


def _mistakes_of_folder(folder: str) -> Iterator[Mistake]:
    try:
        holds_a_model = any(path.endswith("/config.json") for path in _files_of_folder(folder))
    except OSError:
        holds_a_model = False
    if not holds_a_model:
        yield (
            (),
            f"{folder} is no model folder, it has no config.json",
            "Give a Hugging Face folder with config.json, model.safetensors and tokenizer.json",
        )


def _config_of_embedded(settings: EmbeddedModel) -> dict[str, Any]:
    return {
        "n_layer": settings.layers,
        "n_head": settings.heads,
        "n_embd": settings.width,
        "n_inner": settings.mlp_width or 4 * settings.width,
        "n_positions": settings.context,
    }


def _mistakes_of_embedded(settings: EmbeddedModel) -> Iterator[Mistake]:
    if settings.width % settings.heads:
        yield (
            ("heads",),
            f"{settings.heads} heads do not divide the width {settings.width}",
            "Choose a width that is a multiple of the heads",
        )


_ALL = (
    ModelSource(
        name="folder",
        settings=Folder,
        description="A Hugging Face folder (config.json, safetensors, tokenizer.json), without "
        "~ or $, which are not filled in; one that is not in the working directory may be "
        "shipped with the workflow.",
        rule="fetch_model",
        function="timelapse.models.loading:fetch_folder",
        is_path=True,
        files=_files_of_folder,
        config=read_config_json,
        mistakes=_mistakes_of_folder,
    ),
    ModelSource(
        name="hub",
        settings=HubName,
        description="A name on the Hugging Face hub, such as gpt2; downloaded once.",
        rule="fetch_model",
        function="timelapse.models.loading:fetch_hub",
        is_online=True,
    ),
    ModelSource(
        name="embedded",
        settings=EmbeddedModel,
        description="A small GPT-2 that the workflow trains from scratch on a mixture of tasks.",
        rule="train_embedded",
        function="timelapse.models.embedded:train_embedded",
        is_seeded=True,
        mixture=lambda settings: settings.mixture,
        config=_config_of_embedded,
        mistakes=_mistakes_of_embedded,
    ),
)

SOURCES: Mapping[str, ModelSource] = {source.name: source for source in _ALL}
"""All sources by name."""
