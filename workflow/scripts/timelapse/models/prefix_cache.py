"""What several runs of the same prompts have in common, computed once.

In a causal model nothing before the first token that differs can differ. Later tokens read that
part as keys and values only, so these are kept and the tokens themselves are run once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache

from timelapse.models import hooks
from timelapse.models.loading import fused_activations

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Prefix:
    """The first tokens of a batch of prompts.

    Attributes:
        length: how many; 0 if there are none, or if the model keeps no keys and values.
        kept: keys and values of every layer.
    """

    length: int
    kept: tuple[
        tuple[Float[Tensor, "batch head prefix d_head"], Float[Tensor, "batch head prefix d_head"]],
        ...,
    ]

    @classmethod
    @torch.no_grad()
    def shared(
        cls,
        bridge: "TransformerBridge",
        tokens: Int[Tensor, "batch position"],
        others: Int[Tensor, "batch position"],
    ) -> "Prefix":
        """What prompts share with their other forms: all before the first token that any changes.

        Args:
            bridge: the model.
            tokens: the prompts.
            others: their other forms, such as corrupted prompts.

        Returns:
            The shared prefix; an empty one if every prompt equals its other form.
        """
        length = int((tokens != others).any(0).int().argmax())
        if not length:
            return cls(0, ())
        cache = DynamicCache()
        keys_and_values_are_kept = hooks.end_run(hooks.z(bridge.cfg.n_layers - 1))
        with fused_activations(bridge), bridge.hooks(fwd_hooks=[keys_and_values_are_kept]):
            bridge(tokens[:, :length], past_key_values=cache)
        if any(cache.get_seq_length(layer) != length for layer in range(bridge.cfg.n_layers)):
            return cls(0, ())
        return cls(length, tuple((layer.keys, layer.values) for layer in cache.layers))

    def repeated(self, times: int) -> "Prefix":
        """The prefix of `times` copies of the batch, one copy after the other."""
        kept = (
            (keys.repeat(times, 1, 1, 1), values.repeat(times, 1, 1, 1))
            for keys, values in self.kept
        )
        return Prefix(self.length, tuple(kept))

    def run(
        self, bridge: "TransformerBridge", tokens: Int[Tensor, "batch position"]
    ) -> Float[Tensor, "batch some *rest"]:
        """Run whole prompts without running again what the prefix covers.

        Hooks see the positions after the prefix alone; but where queries meet keys, the keys of all
        positions.

        Returns:
            The logits at the last position, or the activation with which a hook ends the run.
        """
        if not self.length:
            return bridge(tokens, logits_to_keep=1)
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.kept):
            cache.update(keys, values, layer)
        return bridge(tokens[:, self.length :], past_key_values=cache, logits_to_keep=1)
