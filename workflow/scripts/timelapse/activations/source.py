"""Where probes get activations from: the model itself, or (`stored.py`) a store in front of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models import hooks
from timelapse.models.hooks import Recorder
from timelapse.models.metric_values import last_logits
from timelapse.models.prompts import Prompts

CLEAN = "clean"
"""The side of the clean prompts; every other side is the name of a corruption."""

Activations = Mapping[str, Float[Tensor, "batch *position_and_rest"]]


@dataclass(frozen=True, order=True)
class Need:
    """An activation that a probe reads.

    Attributes:
        hook: the bridge's name of it, see `models.hooks`, or `hooks.LOGITS` (only "end").
        where: "all" positions, or only the "end" (the position axis then has length 1; for
            attention patterns [batch, head, query, key] it is the query axis that is cut).
        side: "clean" prompts, or "corrupted" ones of every scheme.
    """

    hook: str
    where: Literal["all", "end"]
    side: Literal["clean", "corrupted"] = "clean"


class Source(Protocol):
    """Gives the needed activations of a batch of prompts."""

    @property
    def dtype(self) -> torch.dtype:
        """The coarsest dtype that the activations have been through."""

    def __call__(self, prompts: Prompts, side: str) -> Activations:
        """The activations by hook name, on the model's device.

        Args:
            prompts: prompts of one length.
            side: `CLEAN` or the name of a corruption.
        """


class LiveSource:
    """Runs the model for every batch that it is asked for."""

    def __init__(self, bridge: TransformerBridge, needs: Sequence[Need]) -> None:
        self._bridge, self._needs = bridge, needs

    @property
    def dtype(self) -> torch.dtype:
        """See `Source`."""
        dtype: torch.dtype = self._bridge.cfg.dtype
        return dtype

    @torch.no_grad()
    def __call__(self, prompts: Prompts, side: str) -> dict[str, Tensor]:
        """See `Source`."""
        needs = [need for need in self._needs if need.side == kind_of(side)]
        recorder = Recorder()
        observed = [recorder.keep(need.hook) for need in needs if need.hook != hooks.LOGITS]
        with self._bridge.hooks(fwd_hooks=observed):
            logits = last_logits(self._bridge, tokens_of(prompts, side).to(self._bridge.cfg.device))
        return {
            need.hook: logits[:, None]
            if need.hook == hooks.LOGITS
            else cut(recorder[need.hook], need)
            for need in needs
        }


def kind_of(side: str) -> Literal["clean", "corrupted"]:
    """The `Need.side` that a side of prompts falls under."""
    return "clean" if side == CLEAN else "corrupted"


def tokens_of(prompts: Prompts, side: str) -> Int[Tensor, "batch position"]:
    """The prompts of a side."""
    return prompts.tokens if side == CLEAN else prompts.corrupted[side]


def cut(
    activation: Float[Tensor, "batch *position_and_rest"], need: Need
) -> Float[Tensor, "batch *position_and_rest"]:
    """The needed positions of an activation at all positions."""
    if need.where == "all":
        return activation
    return activation[:, :, -1:] if need.hook.endswith("hook_pattern") else activation[:, -1:]
