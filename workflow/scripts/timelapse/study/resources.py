"""How much memory and time the jobs of a study ask a scheduler for.

Bounds from the size of the model and the number of prompts, known before anything runs, and not
predictions; every further attempt asks for that much more. Free of torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

from timelapse import paths
from timelapse.models.sources import SOURCES, read_config_json
from timelapse.probes.registry import PROBES, Work
from timelapse.study.checks import longest_text
from timelapse.study.runs import Run
from timelapse.study.study import Study
from timelapse.tasks.spec import TaskSpec

LIGHT_MB = 700
"""A process that reads, compares or draws tables."""
TORCH_MB = 1_000
"""A process that has imported torch, transformers and TransformerLens."""
START = 2
"""Minutes until a process works: imports from a slow file system."""
SPEED = 1e12 / 2
"""Floating-point operations in a second: a twentieth of what GPUs do in float32, five times what
two CPU cores do. Where a model as large as GPT-2 meets CPUs alone, a profile must ask for more."""
LAUNCH = 0.016
"""Seconds that a layer takes in a pass however small the model is."""
CHECKPOINT = 12
"""Seconds to load a checkpoint, and to write it or its tables."""
GRADIENTS = 2**28
"""Numbers that a pass with gradients leaves at most; circuits.attribution.batching bounds it."""
BATCH = 100
"""Prompts in a pass for `batch: auto`; models.device has the same."""
MARKS = 4
"""Tokens of an embedded model besides words: comma, full stop, end and unknown."""
SUBWORDS = 1.5
"""Tokens for a word, where a tokenizer splits words."""


@dataclass(frozen=True)
class Request:
    """What a job asks for at its first attempt.

    Attributes:
        mem_mb: memory in megabytes of 10^6 bytes.
        runtime: minutes.
    """

    mem_mb: int
    runtime: int


@dataclass(frozen=True)
class Size:
    """A model's shape: blocks, heads in each, widths, tokens of vocabulary and of the context."""

    layers: int
    heads: int
    width: int
    hidden: int
    vocabulary: int
    context: int

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> "Size":
        """That of a Hugging Face config.json; GPT-2 small's where it does not say."""

        def first(default: int, *names: str) -> int:
            found = (config.get(name) for name in names)
            return next((n for n in found if isinstance(n, int) and n > 0), default)

        width = first(768, "hidden_size", "n_embd", "d_model")
        return cls(
            layers=first(12, "num_hidden_layers", "n_layer", "num_layers"),
            heads=first(12, "num_attention_heads", "n_head", "num_heads"),
            width=width,
            hidden=first(4 * width, "intermediate_size", "n_inner", "ffn_dim"),
            vocabulary=first(50_257, "vocab_size"),
            context=first(1_024, "max_position_embeddings", "n_positions"),
        )

    @property
    def parameters(self) -> int:
        """Weights at most: three matrices in an MLP, and embeddings that are not tied."""
        block = 4 * self.width**2 + 3 * self.width * self.hidden
        return self.layers * block + (2 * self.vocabulary + self.context) * self.width

    @property
    def edges(self) -> int:
        """Edges of its graph, every head with a k and v of its own."""
        written = self.heads + 1
        before = self.layers + written * self.layers * (self.layers - 1) // 2
        into_mlps = before + self.layers * self.heads
        return 3 * self.heads * before + into_mlps + 1 + self.layers * written

    def activations(self, prompts: int, length: int) -> int:
        """Numbers that prompts leave in a pass with gradients: streams, patterns and logits."""
        token = self.layers * (44 * self.width + 4 * self.hidden + 2 * self.heads * length)
        return prompts * length * (token + 3 * self.vocabulary)

    def seconds(self, prompts: int, length: int) -> float:
        """Seconds of a forward pass: two operations for each weight and token."""
        return self.layers * LAUNCH + 2 * self.parameters * prompts * length / SPEED


@dataclass(frozen=True)
class Requests:
    """What the jobs of a study ask for.

    Attributes:
        study: the study.
        specs: its tasks.
    """

    study: Study
    specs: Mapping[str, TaskSpec]

    def size(self, name: str) -> Size:
        """The size of a model; GPT-2 small's until a model from the hub has been fetched."""
        model = self.study.models[name]
        config = SOURCES[model.source].config(model.settings)
        if not config:
            config = read_config_json(paths.fill(paths.MODEL, model=name))
        if model.mixture:
            words = {word for task in model.mixture for word in self.specs[task].words()}
            config = {**config, "vocab_size": len(words) + MARKS}
        return Size.of_config(config)

    def fetching(self, name: str) -> Request:
        """Copying or downloading a model, ten megabytes a second."""
        megabytes = 4 * self.size(name).parameters / 1e6
        return Request(TORCH_MB + ceil(2 * megabytes), START + ceil(megabytes / 600))

    def training(self, name: str) -> Request:
        """Training a model from scratch."""
        settings, size = self.study.models[name].embedded, self._sizes[name]
        return _training(size, settings.batch, size.context, settings.steps, 1)

    def finetuning(self, name: str) -> Request:
        """Fine-tuning a run."""
        run = self.study.runs[name]
        batch, steps = run.recipe["batch"], run.recipe["steps"]
        size = self._sizes[run.model]
        return _training(size, batch, self._lengths[run.task], steps, len(run.steps))

    def probe(self, name: str, run: Run, task: str, checkpoints: int) -> Request:
        """Measuring some checkpoints of a run with a probe."""
        key = (name, run.name, task, checkpoints)
        if key not in self._probes:
            self._probes[key] = self._probe(name, run, task, checkpoints)
        return self._probes[key]

    def comparing(self, run: Run) -> Request:
        """Comparing circuits: scores prompt by prompt of a step, resamples of the others."""
        edges, steps = self._sizes[run.model].edges, len(run.compared)
        tasks = len(run.evaluate) + len(run.controls)
        samples, resamples = self._prompts("edges"), settings_of(self.study, "transfer").resamples
        scores = edges * (3 * samples + 10 * steps * tasks)
        seconds = steps**2 * tasks * resamples * edges / 5e7
        return Request(LIGHT_MB + ceil(4 * scores / 1e6), START + ceil(seconds / 60))

    def tables(self, steps: int) -> Request:
        """Reading, writing or drawing tables of so many steps: six seconds for each."""
        return Request(LIGHT_MB, START + ceil(steps / 10))

    def _probe(self, name: str, run: Run, task: str, checkpoints: int) -> Request:
        settings, size = settings_of(self.study, name), self._sizes[run.model]
        length, corruptions = self._lengths[task], len(self.specs[task].corruption_names)
        at_once = min(settings.prompts, BATCH if settings.batch == "auto" else settings.batch)
        work = Work(
            size.layers,
            size.heads,
            size.edges,
            length,
            corruptions,
            len(run.compared),
            len(run.evaluate),
        )
        passes = PROBES[name].passes(settings, work) * ceil(settings.prompts / at_once)
        seconds = checkpoints * (CHECKPOINT + passes * size.seconds(at_once, length))
        one = size.activations(1, length)
        numbers = 3 * size.parameters + 2 * min(at_once * one, max(GRADIENTS, one))
        return Request(TORCH_MB + ceil(4 * numbers / 1e6), START + ceil(seconds / 60))

    def _prompts(self, probe: str) -> int:
        prompts: int = settings_of(self.study, probe).prompts
        return prompts

    # A large study asks a hundred thousand times.
    @cached_property
    def _sizes(self) -> "_Sizes":
        return _Sizes(self)

    @cached_property
    def _lengths(self) -> dict[str, int]:
        return {task: ceil(SUBWORDS * longest_text(spec)) for task, spec in self.specs.items()}

    @cached_property
    def _probes(self) -> dict[tuple[str, str, str, int], Request]:
        return {}


class _Sizes(dict[str, Size]):
    def __init__(self, resources: Requests) -> None:
        super().__init__()
        self._resources = resources

    def __missing__(self, name: str) -> Size:
        self[name] = self._resources.size(name)
        return self[name]


def settings_of(study: Study, probe: str) -> Any:
    """A probe's settings in a study; those of `transfer` are its `comparison`."""
    return study.comparison if probe == "transfer" else study.probes[probe]


def for_attempts(request: Callable[[Any], Request]) -> dict[str, Callable[..., int]]:
    """`mem_mb` and `runtime` of a rule: more at every attempt.

    Args:
        request: of a job's wildcards.
    """
    return {
        "mem_mb": lambda wildcards, attempt: attempt * request(wildcards).mem_mb,
        "runtime": lambda wildcards, attempt: attempt * request(wildcards).runtime,
    }


def _training(size: Size, batch: int, length: int, steps: int, checkpoints: int) -> Request:
    """Weights, gradients, two moments, and what is written; a pass forward and two back a step."""
    numbers = 5 * size.parameters + size.activations(batch, length)
    seconds = 3 * steps * size.seconds(batch, length) + checkpoints * CHECKPOINT
    return Request(TORCH_MB + ceil(4 * numbers / 1e6), START + ceil(seconds / 60))
