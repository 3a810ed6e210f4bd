"""What searches have in common: parts are dropped one by one, and what is left is path patched.

Each search offers parts of a circuit in an order and says which may go, by the mean metric. Path
patching then scores the edges that are left: every edge of a circuit, into queries, keys, values,
MLPs and logits, is ablated by itself while the circuit's other edges carry the clean run and all
edges outside the circuit stay ablated (Wang et al., "Interpretability in the Wild", 2023, appendix
B; Goldowsky-Dill et al., "Localizing Model Behavior with Path Patching", 2023).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from timelapse.circuits.intervention.evaluate import CircuitEvaluator, without_one_each
from timelapse.circuits.scores import PromptScores


@dataclass(frozen=True)
class MeasuredCircuit:
    """A circuit of a search.

    Attributes:
        kept: its edges, in the order of `GraphShape.edges`.
        value: its mean metric.
    """

    kept: Bool[Tensor, " edge"]
    value: float


class PartRemover:
    """Offers parts of circuits for dropping.

    It guesses twice as far ahead after all guesses came true, to where the first failed otherwise.

    Args:
        measure: the mean metrics of several circuits.
        at_once: how many circuits it is given at most.
    """

    def __init__(
        self, measure: Callable[[Bool[Tensor, "circuit edge"]], list[float]], at_once: int
    ) -> None:
        self._measure, self._at_once = measure, at_once
        self._ahead = at_once

    def in_turn(
        self,
        circuit: MeasuredCircuit,
        parts: Bool[Tensor, "part edge"],
        may_go: Callable[[float, float], bool],
    ) -> MeasuredCircuit:
        """What is left of a circuit when its parts were offered, the first one first.

        Args:
            circuit: where to begin.
            parts: the edges that make up each part.
            may_go: whether a part is dropped, from the mean metrics with and without it.
        """
        while len(parts):
            next_ones = parts[: self._ahead]
            guesses = circuit.kept & ~(next_ones.cumsum(0) > 0)
            gone = 0
            for kept, value in zip(guesses, self._measure(guesses), strict=True):
                if not may_go(circuit.value, value):
                    break
                circuit = MeasuredCircuit(kept, value)
                gone += 1
            all_gone = gone == len(next_ones)
            parts = parts[gone if all_gone else gone + 1 :]
            self._ahead = min(2 * gone, self._at_once) if all_gone else max(1, gone)
        return circuit


@torch.no_grad()
def effects_within(
    evaluator: CircuitEvaluator, kept: Bool[Tensor, " edge"]
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
