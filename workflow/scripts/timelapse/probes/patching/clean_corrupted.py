"""The clean and the corrupted run of a batch of prompts, between which patching moves things."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.hooks import Recorder
from timelapse.models.metric_values import last_logits, logit_difference
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.grid import HOOKS


@dataclass(frozen=True)
class Runs:
    """Prompts beside their corrupted forms, and what both left in the model.

    Attributes:
        prompts: the clean prompts.
        tokens: the corrupted prompts.
        clean: the activations of all sites and layers in the clean run.
        corrupted: the same in the corrupted run, and the end of the residual stream.
        clean_measure: logit differences of the clean run.
        corrupted_measure: those of the corrupted run, for the same answers and foils.
        first: the first position at which each pair of prompts differs.
    """

    prompts: Prompts
    tokens: Int[Tensor, "batch position"]
    clean: Recorder
    corrupted: Recorder
    clean_measure: Float[Tensor, "batch"]
    corrupted_measure: Float[Tensor, "batch"]
    first: Int[Tensor, "batch"]

    @property
    def start(self) -> int:
        """The first position at which any pair differs: up to it, both runs are the same."""
        return int(self.first.min())

    @property
    def length(self) -> int:
        """Tokens in a prompt."""
        return self.tokens.shape[1]


@torch.no_grad()
def run_both(bridge: TransformerBridge, prompts: Prompts, corruption: str) -> Runs:
    """Run prompts of one length, clean and corrupted, and record what can be patched.

    Raises:
        UserError: a corrupted prompt equals its clean one.
    """
    tokens = prompts.corrupted[corruption]
    differs = prompts.tokens != tokens
    if not differs.any(1).all():
        row = int(prompts.rows[int(differs.any(1).int().argmin())])
        raise UserError(
            "dataset",
            f"corrupted_{corruption}",
            f"the corrupted prompt of row {row} equals its clean one, so nothing can be restored",
            "Rewrite a role that changes the prompt",
        )
    layers = range(bridge.cfg.n_layers)
    names = [name(layer) for name in HOOKS.values() for layer in layers]
    names.append(hooks.resid_post(layers[-1]))
    clean, clean_measure = _run(bridge, prompts, prompts.tokens, names)
    corrupted, corrupted_measure = _run(bridge, prompts, tokens, names)
    return Runs(
        prompts,
        tokens,
        clean,
        corrupted,
        clean_measure,
        corrupted_measure,
        first=differs.int().argmax(1),
    )


def _run(
    bridge: TransformerBridge,
    prompts: Prompts,
    tokens: Int[Tensor, "batch position"],
    names: Sequence[str],
) -> tuple[Recorder, Float[Tensor, "batch"]]:
    recorder = Recorder()
    with bridge.hooks(fwd_hooks=[recorder.keep(name) for name in names]):
        logits = last_logits(bridge, tokens)
    return recorder, logit_difference(logits, prompts.answer, prompts.foils)
