"""Both halves of an edge score brought together: output differences times gradients.

Also by labelled position. A token that several labels end at counts for the first of them, so that
the parts by label, with what comes through tokens without one, sum to the whole.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.gradients import TargetGradients
from timelapse.circuits.attribution.outputs import output_differences
from timelapse.circuits.attribution.passes import Pass
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.scores import OTHER, PromptScores
from timelapse.models import hooks
from timelapse.models.prompts import Prompts

_NUMBERS = 2**24
"""How many numbers the outputs of all sources may be at a time: 64 MB in float32."""

Masks = Mapping[str, Bool[Tensor, "batch position"]]
"""For every label, which token of each prompt it stands for: one at most."""


def label_masks(prompts: Prompts, start: int) -> Masks:
    """The labels of prompts, at the positions from `start` on."""
    masks: dict[str, Bool[Tensor, "batch position"]] = {}
    at = torch.arange(start, prompts.tokens.shape[1], device=prompts.tokens.device)
    for label, index in prompts.positions.items():
        mask = at == index[:, None]
        for earlier in masks.values():
            mask &= ~earlier
        masks[label] = mask
    return masks


def score_edges(
    bridge: TransformerBridge,
    shape: GraphShape,
    targets: Sequence[TargetGradients],
    clean: Pass,
    corrupted: Pass,
    masks: Masks,
) -> tuple[Float[Tensor, "edge batch"], dict[str, Float[Tensor, "edge batch"]]]:
    """Scores of all edges, and the part of them that comes through each label's token.

    A few prompts at a time, because the outputs of all sources are many numbers.
    """
    n_prompts, length, width = clean[hooks.resid_pre(0)].shape
    at_once = max(1, _NUMBERS // (len(shape.sources) * length * width))
    wholes, parts = [], defaultdict(list)
    for start in range(0, n_prompts, at_once):
        rows = slice(start, start + at_once)
        differences = output_differences(bridge, shape, clean, corrupted, rows)
        some = {label: mask[rows] for label, mask in masks.items()}
        whole, labelled = _score_edges(shape, targets, rows, differences, some)
        wholes.append(whole)
        for label, part in labelled.items():
            parts[label].append(part)
    return torch.cat(wholes, 1), {label: torch.cat(found, 1) for label, found in parts.items()}


def _score_edges(
    shape: GraphShape,
    targets: Sequence[TargetGradients],
    rows: slice,
    differences: Float[Tensor, "source some position d_model"],
    masks: Masks,
) -> tuple[Float[Tensor, "edge some"], dict[str, Float[Tensor, "edge some"]]]:
    room = differences.new_empty(max(target.size for target in targets), *differences.shape[1:])
    wholes, parts = [], defaultdict(list)
    done = 0
    for target in targets:
        upstream = differences[: shape.n_upstream(shape.targets[done])]
        done += target.size
        gradients = target.at_inputs(rows, room)
        wholes.append(contract(upstream, gradients))
        for label, mask in masks.items():
            parts[label].append(_contract_at(upstream, gradients, mask))
    return torch.cat(wholes), {label: torch.cat(found) for label, found in parts.items()}


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


def _contract_at(
    differences: Float[Tensor, "source batch position d_model"],
    gradients: Float[Tensor, "target batch last_position d_model"],
    mask: Bool[Tensor, "batch position"],
) -> Float[Tensor, "edge batch"]:
    """As `contract`, through the one token of every prompt that a mask marks."""
    positions = gradients.shape[2]
    mask = mask[:, -positions:]
    each = torch.arange(len(mask), device=mask.device)
    at = mask.int().argmax(1)
    there = gradients[:, each, at] * mask.any(1)[:, None]
    return contract(differences[:, :, -positions:][:, each, at][:, :, None], there[:, :, None])


def at_labels(
    products: Float[Tensor, "*node batch last_position"], masks: Masks
) -> dict[str, Float[Tensor, "*node batch"]]:
    """What comes through the token of each label, of products known position by position."""
    positions = products.shape[-1]
    return {label: (products * mask[:, -positions:]).sum(-1) for label, mask in masks.items()}


def prompt_scores(
    prompts: Prompts,
    scores: Float[Tensor, "edge batch"],
    parts: Mapping[str, Float[Tensor, "edge batch"]],
) -> PromptScores:
    """Scores with their parts by label and, if there are any, what these leave of the whole."""
    if not parts:
        return PromptScores(prompts.rows, scores)
    rest = scores - torch.stack([*parts.values()]).sum(0)
    return PromptScores(prompts.rows, scores, {**parts, OTHER: rest})
