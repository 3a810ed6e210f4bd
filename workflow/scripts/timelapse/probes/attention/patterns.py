"""The attention probabilities of all heads, batch by batch."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import CLEAN, Need, Source
from timelapse.models import hooks
from timelapse.models.prompts import Prompts

Patterns = Float[Tensor, "layer head batch query key"]


def needs(config: TransformerBridgeConfig) -> tuple[Need, ...]:
    """What the attention probe reads."""
    return tuple(Need(hooks.pattern(layer), "all") for layer in range(config.n_layers))


def each_pattern(
    bridge: TransformerBridge, source: Source, prompts: Sequence[Prompts], batch_size: int
) -> Iterator[tuple[Prompts, Patterns]]:
    """Read the patterns of the clean prompts, at most `batch_size` at a time."""
    for bucket in prompts:
        for batch in bucket.to(bridge.cfg.device).batches(batch_size):
            read = source(batch, CLEAN)
            layers = [read[hooks.pattern(layer)] for layer in range(bridge.cfg.n_layers)]
            yield batch, torch.stack(layers).transpose(1, 2)
