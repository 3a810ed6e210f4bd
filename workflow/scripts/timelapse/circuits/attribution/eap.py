"""Edge attribution patching: what corrupting an edge does to the logit difference, to first order.

The score of an edge is the sum over positions of (corrupted - clean output of its source) times the
gradient of the clean prompt's logit difference at what its target reads (Syed, Rager & Conmy,
"Attribution Patching Outperforms Automated Circuit Discovery", 2023). Negative: the edge helps.
"""

from collections import defaultdict

import torch
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.contraction import (
    contract,
    contract_at,
    label_masks,
    with_other,
)
from timelapse.circuits.attribution.gradients import target_gradients
from timelapse.circuits.attribution.outputs import output_differences
from timelapse.circuits.attribution.runs import run_both
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.settings import Settings
from timelapse.models.prompts import Prompts


def eap(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: Settings,
) -> PromptScores:
    """The score of every edge for every prompt of one batch."""
    runs = run_both(bridge, shape, prompts, corruption)
    differences = output_differences(bridge, shape, runs)
    masks = {}
    if settings.positions:
        masks = label_masks(prompts.positions, runs.start, prompts.tokens.shape[1])
    groups = []
    parts = defaultdict(list)
    done = 0
    for gradients in target_gradients(bridge, shape, runs):
        upstream = differences[: shape.n_upstream(shape.targets[done])]
        done += len(gradients)
        groups.append(contract(upstream, gradients))
        for label, mask in masks.items():
            parts[label].append(contract_at(upstream, gradients, mask))
    scores = torch.cat(groups)
    if not settings.positions:
        return PromptScores(prompts.rows, scores)
    labelled = {label: torch.cat(found) for label, found in parts.items()}
    return PromptScores(prompts.rows, scores, with_other(scores, labelled))
