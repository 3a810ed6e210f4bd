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

from timelapse.circuits.attribution.batching import equal_parts
from timelapse.circuits.attribution.gradients import TargetGradients
from timelapse.circuits.attribution.passes import Pass
from timelapse.circuits.attribution.source_outputs import output_differences
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.scores import OTHER, PromptScores
from timelapse.models import hooks
from timelapse.models.prompts import Prompts

WHOLE = ""
"""Stands beside the labels for all positions together."""

ByLabel = dict[str, Float[Tensor, "edge batch"]]
"""Scores as a whole, and what of them comes through each label's token."""

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
) -> ByLabel:
    """Scores of all edges by the gradients summed at their targets.

    A few prompts at a time, because the outputs of all sources are many numbers.
    """
    entering = clean[hooks.resid_pre(0)]
    numbers = len(shape.sources) * entering[0].numel()
    at_once = equal_parts(len(entering), max(1, _NUMBERS // numbers))
    for_outputs = entering.new_empty(at_once * numbers, dtype=clean.dtype)
    n_targets = max(target.size for target in targets)
    for_gradients = for_outputs.new_empty(at_once * n_targets * entering[0].numel())
    of_prompts = defaultdict(list)
    for start in range(0, len(entering), at_once):
        rows = slice(start, start + at_once)
        differences = output_differences(bridge, shape, clean, corrupted, rows, for_outputs)
        some = {label: mask[rows] for label, mask in masks.items()}
        of_edges = defaultdict(list)
        done = 0
        for target in targets:
            upstream = differences[: shape.n_upstream(shape.targets[done])]
            done += target.size
            gradients = target.at_inputs(rows, for_gradients)
            of_edges[WHOLE].append(contract(upstream, gradients))
            for label, mask in some.items():
                of_edges[label].append(_contract_at(upstream, gradients, mask))
        for label, found in of_edges.items():
            of_prompts[label].append(torch.cat(found))
    return {label: torch.cat(found, 1) for label, found in of_prompts.items()}


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
    products: Float[Tensor, "*edge batch last_position"], masks: Masks
) -> dict[str, Float[Tensor, "*edge batch"]]:
    """Scores from products known position by position."""
    positions = products.shape[-1]
    parts = {label: (products * mask[:, -positions:]).sum(-1) for label, mask in masks.items()}
    return {WHOLE: products.sum(-1), **parts}


def prompt_scores(prompts: Prompts, scores: ByLabel) -> PromptScores:
    """Scores of prompts; if there are labels, with what these leave of the whole."""
    parts = {label: part for label, part in scores.items() if label != WHOLE}
    if parts:
        parts[OTHER] = scores[WHOLE] - torch.stack([*parts.values()]).sum(0)
    return PromptScores(prompts.rows, scores[WHOLE], parts)
