"""Both halves of an edge score brought together: output differences times gradients."""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from timelapse.circuits.scores import OTHER


def contract(
    differences: Float[Tensor, "source batch position d_model"],
    gradients: Float[Tensor, "target batch last_position d_model"],
) -> Float[Tensor, "edge batch"]:
    """Products of every output difference with every gradient, summed over the last positions.

    One matrix product per prompt; edges come target by target.
    """
    positions = gradients.shape[2]
    products = torch.bmm(
        gradients.flatten(2).transpose(0, 1),
        differences[:, :, -positions:].flatten(2).permute(1, 2, 0),
    )
    return products.flatten(1).T


def contract_at(
    differences: Float[Tensor, "source batch position d_model"],
    gradients: Float[Tensor, "target batch last_position d_model"],
    mask: Bool[Tensor, "batch position"],
) -> Float[Tensor, "edge batch"]:
    """As `contract`, over the positions of a mask alone: one at most in every prompt."""
    positions = gradients.shape[2]
    mask = mask[:, -positions:]
    index = mask.int().argmax(1)
    each = torch.arange(len(index), device=index.device)
    there = gradients[:, each, index] * mask.any(1, keepdim=True)
    return contract(differences[:, :, -positions:][:, each, index][:, :, None], there[:, :, None])


def label_masks(
    positions: Mapping[str, Int[Tensor, "batch"]], start: int, length: int
) -> dict[str, Bool[Tensor, "batch position"]]:
    """Which token from `start` on every label stands for.

    A token that several labels end at counts for the first of them, so that parts by label can be
    summed.
    """
    masks: dict[str, Bool[Tensor, "batch position"]] = {}
    for label, index in positions.items():
        mask = torch.arange(start, length, device=index.device) == index[:, None]
        for earlier in masks.values():
            mask &= ~earlier
        masks[label] = mask
    return masks


def with_other(
    whole: Float[Tensor, "edge batch"], parts: Mapping[str, Float[Tensor, "edge batch"]]
) -> dict[str, Float[Tensor, "edge batch"]]:
    """The parts and, as `OTHER`, what they leave of the whole."""
    return {**parts, OTHER: whole - total(parts.values())}


def total(parts: Iterable[Float[Tensor, "edge batch"]]) -> Float[Tensor, "edge batch"] | int:
    """The sum of parts; 0 of none."""
    return sum(parts)
