"""Exact edge patching: what corrupting one edge really does, the oracle of the other methods.

The score of an edge is the logit difference of the clean prompt with this edge alone ablated, less
that of the clean prompt: a pass for every edge and prompt. Negative: the edge helps.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import Ablation, ablated_batches
from timelapse.circuits.intervention.forward import logit_differences
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.settings import Settings
from timelapse.models.metric_values import last_logits, logit_difference
from timelapse.models.prompts import Prompts


def exact(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    settings: Settings,
) -> Iterator[PromptScores]:
    """Scores of all edges by patching each of them; see `methods`.

    `settings.batch` pairs of an edge and a prompt share a pass: it bounds the memory.
    """
    for bucket in prompts:
        for batch, ablation in ablated_batches(
            bridge, shape, bucket, corruption, settings.ablation, settings.batch
        ):
            scores = _edge_by_edge(bridge, shape, batch, ablation, settings.batch)
            yield PromptScores(batch.rows, scores)


@torch.no_grad()
def _edge_by_edge(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, ablation: Ablation, rows: int
) -> Float[Tensor, "edge batch"]:
    logits = last_logits(bridge, prompts.tokens)
    clean = logit_difference(logits, prompts.answer, prompts.foils)
    n_edges = len(shape.edges)
    at_once = max(1, rows // len(prompts))
    found = []
    for edges in torch.arange(n_edges).split(at_once):
        all_but_one = torch.ones(len(edges), n_edges, dtype=torch.bool)
        all_but_one[torch.arange(len(edges)), edges] = False
        found.append(logit_differences(bridge, shape, prompts, ablation, all_but_one, rows))
    return torch.cat(found) - clean
