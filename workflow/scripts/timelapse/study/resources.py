"""How much memory and time a job asks for, from the model's size and the number of prompts.

These are requests to a scheduler, known before anything runs: bounds that are seldom reached, not
predictions. `tests/unit/test_resources.py` holds what was measured. Free of torch.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from timelapse.probes.registry import EdgesSettings, ProbeSettings
from timelapse.study.config import EmbeddedModel

MB = 10**6
IMPORTS = 1_000 * MB
"""Bytes of a process that has imported torch, transformers and TransformerLens."""
LIGHT = 700 * MB
"""Bytes of a process that reads, compares or draws tables."""
FLOAT = 4
"""Bytes of a number; models are loaded in float32 whatever they are run in."""
LOADED = 3
"""Copies of the weights in a measuring process: the model, the checkpoint that is copied into it,
and q, k and v cut out of a joint weight."""
TRAINED = 5
"""Copies while training: weights, gradients, AdamW's two moments, and what is written to disk."""
GRADIENTS = 2**28
"""Numbers that a pass with gradients leaves at most if it takes several prompts, as
`circuits.memory` bounds it."""
BATCH = 100
"""Prompts in a pass for `batch: auto`, see `models.device.BATCH`."""
START = 120
"""Seconds until a process works: imports from a slow file system."""
LOADING = 6
"""Seconds to load a checkpoint, and to write its tables."""
LAUNCH = 0.008
"""Seconds that a layer takes in a pass of a batch however small the model is."""
SPEED = 1e12
"""Floating-point operations in a second: a tenth of what GPUs do in float32, ten times what two CPU
cores do. Where a model as large as GPT-2 meets CPUs alone, a profile must ask for more time."""
MARGIN = 2
"""How many times the estimated time is asked for."""


@dataclass(frozen=True)
class Size:
    """A model's shape.

    Attributes:
        layers: blocks.
        heads: attention heads in a block.
        width: of the residual stream.
        hidden: neurons of an MLP.
        vocabulary: tokens.
        context: tokens of the longest text.
    """

    layers: int
    heads: int
    width: int
    hidden: int
    vocabulary: int
    context: int

    @classmethod
    def embedded(cls, settings: EmbeddedModel, words: int) -> "Size":
        """That of an embedded model, whose vocabulary is words and four more tokens."""
        hidden = settings.mlp_width or 4 * settings.width
        return cls(
            settings.layers, settings.heads, settings.width, hidden, words + 4, settings.context
        )

    @classmethod
    def of_folder(cls, folder: str | Path) -> "Size":
        """That of a Hugging Face folder, from its config.json.

        What the file leaves out is taken from GPT-2 small, and all of it if there is no file yet or
        none that can be read: what is wrong with it is told when the model is loaded.
        """
        try:
            config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
            config = {**config, **(config.get("text_config") or {})}
        except (OSError, ValueError, TypeError, AttributeError):
            config = {}

        def first(names: Sequence[str], default: int) -> int:
            found = (config.get(name) for name in names)
            return next((n for n in found if isinstance(n, int) and n > 0), default)

        width = first(["hidden_size", "n_embd", "d_model"], 768)
        return cls(
            layers=first(["num_hidden_layers", "n_layer", "num_layers"], 12),
            heads=first(["num_attention_heads", "n_head", "num_heads"], 12),
            width=width,
            hidden=first(["intermediate_size", "n_inner", "ffn_dim"], 4 * width),
            vocabulary=first(["vocab_size"], 50_257),
            context=first(["max_position_embeddings", "n_positions"], 1_024),
        )

    @property
    def parameters(self) -> int:
        """How many weights at most: three matrices in an MLP, and embeddings that are not tied."""
        block = 4 * self.width**2 + 3 * self.width * self.hidden
        return self.layers * block + (2 * self.vocabulary + self.context) * self.width

    @property
    def edges(self) -> int:
        """Edges among which circuits are looked for, every head with a k and v of its own."""
        written = self.heads + 1
        before = self.layers + written * self.layers * (self.layers - 1) // 2
        into_mlps = before + self.layers * self.heads
        return 3 * self.heads * before + into_mlps + 1 + self.layers * written

    def of_token(self) -> int:
        """Numbers that a token leaves in a pass with gradients, see `circuits.memory`."""
        return self.layers * (44 * self.width + 4 * self.hidden)

    def of_prompt(self, length: int) -> int:
        """Numbers that a prompt leaves: tokens, attention patterns, and three times its logits."""
        patterns = self.layers * self.heads * length
        return length * (self.of_token() + 2 * patterns + 3 * self.vocabulary)


@dataclass(frozen=True)
class Request:
    """What a job asks for.

    Attributes:
        bytes: of memory.
        seconds: of time.
    """

    bytes: float
    seconds: float

    def with_writing(self, checkpoints: int) -> "Request":
        """The same with the time to write checkpoints."""
        return replace(self, seconds=self.seconds + checkpoints * LOADING)

    def mem_mb(self, attempt: int) -> int:
        """Megabytes of 10^6 bytes at an attempt: twice, three times ... as many."""
        return attempt * math.ceil(self.bytes / MB)

    def runtime(self, attempt: int) -> int:
        """Minutes at an attempt."""
        return attempt * math.ceil(MARGIN * self.seconds / 60)


def training(size: Size, batch: int, length: int, steps: int) -> Request:
    """A training's.

    Args:
        size: of the model.
        batch: examples in a step.
        length: tokens of an example.
        steps: of the optimiser; a step is a pass forward and two back.
    """
    memory = IMPORTS + FLOAT * (TRAINED * size.parameters + batch * size.of_prompt(length))
    return Request(memory, START + 3 * steps * _seconds(size, batch, length))


def fetching(size: Size) -> Request:
    """That of copying or downloading a model, of ten megabytes a second."""
    weights = FLOAT * size.parameters
    return Request(IMPORTS + 2 * weights, START + weights / (10 * MB))


def measuring(
    size: Size,
    prompts: int,
    batch: int | Literal["auto"],
    length: int,
    passes: float,
    checkpoints: int,
) -> Request:
    """That of a probe.

    Args:
        size: of the model.
        prompts: that are measured.
        batch: that are run at a time.
        length: tokens of the longest.
        passes: forward passes that every batch takes.
        checkpoints: that the job measures.
    """
    at_once = min(prompts, BATCH if batch == "auto" else batch)
    activations = min(at_once * size.of_prompt(length), max(GRADIENTS, size.of_prompt(length)))
    memory = IMPORTS + FLOAT * (LOADED * size.parameters + 2 * activations)
    work = passes * -(-prompts // at_once) * _seconds(size, at_once, length)
    return Request(memory, START + checkpoints * (LOADING + work))


def comparing(size: Size, prompts: int, steps: int, tasks: int, resamples: int) -> Request:
    """That of comparing circuits: scores prompt by prompt of a step, resamples of the others.

    Args:
        size: of the model.
        prompts: whose scores are read at a time.
        steps: that are compared.
        tasks: whose circuits are.
        resamples: of the bootstrap.
    """
    scores = size.edges * (3 * prompts + 10 * steps * tasks)
    seconds = steps**2 * tasks * resamples * size.edges / 1e8
    return Request(LIGHT + FLOAT * scores, START + seconds)


def light(seconds: float = 60) -> Request:
    """That of reading, writing and drawing tables."""
    return Request(LIGHT, START + seconds)


def passes(probe: str, settings: ProbeSettings, size: Size, length: int, corruptions: int) -> float:
    """Forward passes that a probe takes for every batch of prompts, a pass back counting as two.

    Args:
        probe: its name.
        settings: its settings in a study's config.
        size: of the model.
        length: tokens of a prompt.
        corruptions: schemes that it goes through.
    """
    match probe:
        case "patching":
            # A cell runs what follows its layer: half of the model on average.
            return corruptions * size.layers * (3 * length + 5 * size.heads) / 2
        case "edges":
            assert isinstance(settings, EdgesSettings)
            own = (_passes_of_method(name, settings, size) for name in settings.methods)
            return corruptions * sum(own)
        case "faithfulness":
            # A curve over ten sizes, with complements and by sign, and what is looked for between.
            return corruptions * 64
        case "head_roles" | "logit_lens":
            return 3
        case _:
            return 2


def transfer_passes(size: Size, compared: int, tasks: int, corruptions: int) -> float:
    """Forward passes in a host: its guests, circuits of halves, and heads moved there and back."""
    circuits = compared + 2 * (tasks - 1) + 22
    return corruptions * circuits + 2 * size.layers * size.heads


def _passes_of_method(method: str, settings: EdgesSettings, size: Size) -> float:
    if method in ("exact", "ACDC"):
        return size.edges
    if method == "node-ablation":
        return 3 * size.layers * size.heads
    return 3 * settings.ig_steps


def _seconds(size: Size, batch: int, length: int) -> float:
    """A forward pass of a batch: two operations for each weight and token."""
    return size.layers * LAUNCH + 2 * size.parameters * batch * length / SPEED
