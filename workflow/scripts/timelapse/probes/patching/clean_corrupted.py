"""The clean and the corrupted run of a batch of prompts, between which activations are moved."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.grid import HOOKS


@dataclass(frozen=True)
class PairedRuns:
    """Prompts beside their corrupted forms, and what both left in the model.

    Attributes:
        prompts: the clean prompts.
        tokens: the corrupted prompts.
        metric: what is measured of both.
        clean: the activations of all sites and layers in the clean run.
        corrupted: the same in the corrupted run, and the end of the residual stream.
        clean_value: the metric of the clean run.
        corrupted_value: that of the corrupted run, for the same answers and foils.
        first: the first position at which each pair of prompts differs.
    """

    prompts: Prompts
    tokens: Int[Tensor, "batch position"]
    metric: Metric
    clean: Recorder
    corrupted: Recorder
    clean_value: Float[Tensor, " batch"]
    corrupted_value: Float[Tensor, " batch"]
    first: Int[Tensor, " batch"]

    @property
    def start(self) -> int:
        """The first position at which any pair differs: up to it, both runs are the same."""
        return int(self.first.min())

    @property
    def length(self) -> int:
        """Tokens in a prompt."""
        return self.tokens.shape[1]

    def __getitem__(self, part: slice) -> "PairedRuns":
        return PairedRuns(
            self.prompts[part],
            self.tokens[part],
            self.metric,
            self.clean.select_prompts(part),
            self.corrupted.select_prompts(part),
            self.clean_value[part],
            self.corrupted_value[part],
            self.first[part],
        )


def paired_runs(
    bridge: TransformerBridge, prompts: Prompts, corruptions: Sequence[str], metric: Metric
) -> Iterator[PairedRuns]:
    """Run prompts of one length, once clean and once for each corruption.

    Args:
        bridge: the model.
        prompts: a batch on the model's device.
        corruptions: names of corruptions.
        metric: what is measured of every run.

    Yields:
        Both runs for each corruption, with everything recorded that can be patched.

    Raises:
        UserError: a corrupted prompt equals its clean one.
    """
    layers = range(bridge.cfg.n_layers)
    names = [name(layer) for name in HOOKS.values() for layer in layers]
    names.append(hooks.resid_post(layers[-1]))
    clean, clean_value = _run(bridge, prompts, prompts.tokens, names, metric)
    for corruption in corruptions:
        tokens = prompts.corrupted[corruption]
        differs = prompts.tokens != tokens
        if not differs.any(1).all():
            row = int(prompts.rows[int(differs.any(1).int().argmin())])
            raise UserError(
                "dataset",
                f"corrupted_{corruption}",
                f"the corrupted prompt of row {row} equals its clean one, so nothing can be"
                " restored",
                "Rewrite a role that changes the prompt",
            )
        corrupted, corrupted_value = _run(bridge, prompts, tokens, names, metric)
        yield PairedRuns(
            prompts,
            tokens,
            metric,
            clean,
            corrupted,
            clean_value,
            corrupted_value,
            first=differs.int().argmax(1),
        )


@torch.no_grad()
def _run(
    bridge: TransformerBridge,
    prompts: Prompts,
    tokens: Int[Tensor, "batch position"],
    names: Sequence[str],
    metric: Metric,
) -> tuple[Recorder, Float[Tensor, " batch"]]:
    recorder = Recorder()
    with bridge.hooks(fwd_hooks=[recorder.keep(name) for name in names]):
        logits = last_logits(bridge, tokens)
    return recorder, metric.value(logits, prompts.answer, prompts.foils)
