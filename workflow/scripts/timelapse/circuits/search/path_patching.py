"""Path patching within a circuit: what corrupting one of its edges does to its metric.

Every edge of a circuit, into queries, keys, values, MLPs and logits, is ablated by itself while the
circuit's other edges carry the clean run and all edges outside the circuit stay ablated (Wang et
al., "Interpretability in the Wild", 2023, appendix B; Goldowsky-Dill et al., "Localizing Model
Behavior with Path Patching", 2023).
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool
from torch import Tensor

from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.intervention.exact_patching import without_one_each
from timelapse.circuits.scores import PromptScores


@torch.no_grad()
def effects_within(
    evaluator: CircuitEvaluator, kept: Bool[Tensor, "edge"]
) -> Iterator[PromptScores]:
    """The effect of every edge of a circuit on every prompt; 0 for the edges outside it.

    The effect is the circuit's metric without the edge minus that with it: negative edges help.
    """
    edges = kept.nonzero()[:, 0]
    for prompts, reference in evaluator.batches():
        whole = evaluator.batch_values(prompts, reference, kept[None])
        scores = whole.new_zeros(len(kept), len(prompts))
        if len(edges):
            without = [
                evaluator.batch_values(prompts, reference, circuits)
                for circuits in without_one_each(kept, edges)
            ]
            scores[edges] = torch.cat(without) - whole
        yield PromptScores(prompts.rows, scores)
