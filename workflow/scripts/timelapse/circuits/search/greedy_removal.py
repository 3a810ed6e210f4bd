"""Dropping parts of a circuit one after the other, as far as its mean metric allows.

What the searches have in common: each offers parts in an order and says which may go.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor


@dataclass(frozen=True)
class MeasuredCircuit:
    """A circuit of a search.

    Attributes:
        kept: its edges, in the order of `GraphShape.edges`.
        value: its mean metric.
    """

    kept: Bool[Tensor, "edge"]
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
