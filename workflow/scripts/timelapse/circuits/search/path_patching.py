"""Path patching within a circuit: what corrupting one of its edges does to its logit difference.

Every edge of a circuit, into queries, keys, values, MLPs and logits, is ablated by itself while the
circuit's other edges carry the clean run and all edges outside the circuit stay ablated (Wang et
al., "Interpretability in the Wild", 2023, appendix B; Goldowsky-Dill et al., "Localizing Model
Behavior with Path Patching", 2023).
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool
from torch import Tensor

from timelapse.circuits.scores import PromptScores
from timelapse.circuits.search.greedy_removal import Measure


@torch.no_grad()
def effects_within(measure: Measure, kept: Bool[Tensor, "edge"]) -> Iterator[PromptScores]:
    """The effect of every edge of a circuit on every prompt; 0 for the edges outside it.

    The effect is the circuit's logit difference without the edge less that with it: negative edges
    help. A pass for every kept edge and prompt, `measure.at_once` of them together.
    """
    edges = kept.nonzero()[:, 0]
    for prompts, ablation in measure.worlds():
        whole = measure.each(prompts, ablation, kept[None])
        scores = whole.new_zeros(len(kept), len(prompts))
        for some in edges.split(measure.at_once):
            without = kept.repeat(len(some), 1)
            without[torch.arange(len(some)), some] = False
            scores[some] = measure.each(prompts, ablation, without) - whole
        yield PromptScores(prompts.rows, scores)
