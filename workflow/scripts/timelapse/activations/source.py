"""Where probes get activations from: the model itself here, a cache in `cached_source`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.prompts import Prompts

Activations = Mapping[str, Float[Tensor, " batch *rest"]]
"""Activations by the bridge's hook name."""


@dataclass(frozen=True, order=True)
class ActivationSpec:
    """An activation that a probe reads.

    Attributes:
        hook: the bridge's name of it, see `models.hooks`, or `hooks.LOGITS` (only "end").
        where: "all" positions, or only the "end" (the position axis then has length 1; for
            attention patterns [batch, head, query, key] it is the query axis that is cut).
    """

    hook: str
    where: Literal["all", "end"]


@runtime_checkable
class ActivationSource(Protocol):
    """Gives the activations that a probe needs, for a batch of prompts."""

    @property
    def dtype(self) -> torch.dtype:
        """The coarsest dtype that the activations have been through."""

    def __call__(self, prompts: Prompts) -> Activations:
        """Activations of the clean prompts.

        Args:
            prompts: prompts of one length.

        Returns:
            The needed activations by hook name, on the model's device.
        """


class LiveSource:
    """Runs the model for every batch that it is asked for."""

    def __init__(self, bridge: TransformerBridge, needs: Sequence[ActivationSpec]) -> None:
        """
        Args:
            bridge: the model.
            needs: what is read, each hook once.
        """
        self._bridge, self._needs = bridge, needs

    @property
    def dtype(self) -> torch.dtype:
        """The model's dtype."""
        dtype: torch.dtype = self._bridge.cfg.dtype
        return dtype

    @torch.no_grad()
    def __call__(self, prompts: Prompts) -> dict[str, Tensor]:
        """Run the model once on a batch. See `ActivationSource`."""
        recorder = Recorder()
        observed = [recorder.keep(need.hook) for need in self._needs if need.hook != hooks.LOGITS]
        with self._bridge.hooks(fwd_hooks=observed):
            logits = last_logits(self._bridge, prompts.tokens.to(self._bridge.cfg.device))
        return {
            need.hook: logits[:, None]
            if need.hook == hooks.LOGITS
            else select_positions(recorder[need.hook], need)
            for need in self._needs
        }


def select_positions(
    activation: Float[Tensor, " batch *rest"], need: ActivationSpec
) -> Float[Tensor, " batch *selected"]:
    """The positions that are needed of an activation at all positions."""
    if need.where == "all":
        return activation
    return activation[:, :, -1:] if need.hook.endswith("hook_pattern") else activation[:, -1:]
