"""Exact edge patching: what corrupting one edge really does, the oracle of the other methods.

The score of an edge is the metric of the clean prompt with this edge alone ablated, minus that of
the clean prompt. Negative: the edge helps.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.settings import MethodSettings
from timelapse.models.hooks import last_logits
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts

_CIRCUITS = 64
"""Circuits that are run together; all that comes before the missing edge they share."""


@torch.no_grad()
def exact(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> Iterator[PromptScores]:
    """Scores of all edges by patching each of them; see `methods`.

    `settings.batch` prompts share a pass.
    """
    evaluator = CircuitEvaluator(
        bridge, shape, prompts, corruption, metric, settings.ablation, settings.batch
    )
    everything = torch.ones(len(shape.edges), dtype=torch.bool)
    for batch, reference in evaluator.batches():
        logits = last_logits(bridge, batch.tokens)
        clean = metric.value(logits, batch.answer, batch.foils)
        scores = [
            evaluator.batch_values(batch, reference, without) - clean
            for without in without_one_each(everything, torch.arange(len(everything)))
        ]
        yield PromptScores(batch.rows, torch.cat(scores))


def without_one_each(
    circuit: Bool[Tensor, "edge"], edges: Int[Tensor, "some_edge"]
) -> Iterator[Bool[Tensor, "some edge"]]:
    """A circuit without one of its edges, for each of some edges in their order, some at a time."""
    for some in edges.split(_CIRCUITS):
        without = circuit.repeat(len(some), 1)
        without[torch.arange(len(some)), some] = False
        yield without
