"""The two forward passes that attribution needs: of corrupted prompts, and of clean ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.models import hooks
from timelapse.models.hooks import Recorder
from timelapse.models.measure import last_logits, logit_difference
from timelapse.models.prompts import Prompts


@dataclass(frozen=True)
class Runs:
    """Clean prompts beside their corrupted forms.

    Attributes:
        start: the first position at which the tokens of any pair differ. Before it every
            activation is the same in both runs.
        corrupted: what the sources wrote in the corrupted run.
        clean: what they wrote in the clean run.
        read: what the targets read in the clean run, on the graph that leads to `measure`.
        measure: the logit difference of every clean prompt.
    """

    start: int
    corrupted: Recorder
    clean: Recorder
    read: Recorder
    measure: Float[Tensor, "batch"]

    @property
    def dtype(self) -> torch.dtype:
        """That of everything computed from the runs: float32, or float64 if the model's is."""
        return self.measure.dtype

    def difference(self, name: str) -> Float[Tensor, "batch position *rest"]:
        """Corrupted less clean activation, from `start` on."""
        corrupted, clean = self.corrupted[name], self.clean[name]
        return corrupted[:, self.start :].to(self.dtype) - clean[:, self.start :].to(self.dtype)


def run_both(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> Runs:
    """Run prompts and their corrupted forms, recording what attribution is computed from.

    Autograd begins at the residual stream before the first block of the clean run; the parameters
    need no gradients.
    """
    tokens = prompts.corrupted[corruption]
    corrupted, clean, read = Recorder(), Recorder(), Recorder()
    with torch.no_grad(), bridge.hooks(fwd_hooks=[*map(corrupted.keep, written_names(shape))]):
        last_logits(bridge, tokens)
    observers = [
        read.root(hooks.resid_pre(0)),
        *map(read.tap, read_names(shape)),
        *map(read.keep, norm_names(shape)),
        *map(clean.keep, written_names(shape)),
    ]
    with torch.enable_grad(), bridge.hooks(fwd_hooks=observers):
        logits = last_logits(bridge, prompts.tokens)
        measure = logit_difference(logits, prompts.answer, prompts.foils)
    return Runs(_first_difference(prompts.tokens, tokens), corrupted, clean, read, measure)


def written_names(shape: GraphShape) -> list[str]:
    """The activations that hold what the sources write, and the stream that they add up to."""
    layers = range(shape.n_layers)
    return [
        hooks.resid_pre(0),
        *map(hooks.z, layers),
        *map(hooks.mlp_out, layers),
        hooks.resid_post(shape.n_layers - 1),
    ]


def read_names(shape: GraphShape) -> list[str]:
    """The activations at which the gradients of the targets are taken."""
    kinds = (hooks.query, hooks.key, hooks.value, hooks.mlp_norm_in)
    return [
        *(name(layer) for layer in range(shape.n_layers) for name in kinds),
        hooks.resid_post(shape.n_layers - 1),
    ]


def norm_names(shape: GraphShape) -> list[str]:
    """What the norms before the attention did."""
    kinds = (hooks.attn_normalized, hooks.attn_scale)
    return [name(layer) for layer in range(shape.n_layers) for name in kinds]


def _first_difference(
    clean: Int[Tensor, "batch position"], corrupted: Int[Tensor, "batch position"]
) -> int:
    """The first position at which any pair differs; 0 if none does."""
    return int((clean != corrupted).any(0).int().argmax())
