"""Dropping parts of a circuit one after the other, each judged when those before it are gone.

Searches are sequential: whether a part goes depends on which went before. Still several circuits
are measured at a time, on the guess that the next few parts will all go: the circuit without the
first of them, without the first two, and so on. Up to the first part that stays, these are just the
circuits that the plain loop would have measured; those after it are thrown away. So the result is
the plain loop's.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from timelapse.circuits.search.measure import Measure


@dataclass(frozen=True)
class Circuit:
    """A circuit on the way.

    Attributes:
        kept: its edges, in the order of `GraphShape.edges`.
        value: its mean logit difference.
    """

    kept: Bool[Tensor, "edge"]
    value: float


class Dropping:
    """Offers parts of circuits for dropping.

    It guesses twice as far ahead after all guesses came true, to where the first failed otherwise.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._ahead = measure.at_once

    def in_turn(
        self,
        circuit: Circuit,
        parts: Bool[Tensor, "part edge"],
        may_go: Callable[[float, float], bool],
    ) -> Circuit:
        """What is left of a circuit when its parts were offered, the first one first.

        Args:
            circuit: where to begin.
            parts: the edges that make up each part.
            may_go: whether a part is dropped, from the mean logit differences with and without it.
        """
        while len(parts):
            next_ones = parts[: self._ahead]
            guesses = circuit.kept & ~(next_ones.cumsum(0) > 0)
            gone = 0
            for kept, value in zip(guesses, self._measure(guesses), strict=True):
                if not may_go(circuit.value, value):
                    break
                circuit = Circuit(kept, value)
                gone += 1
            all_gone = gone == len(next_ones)
            parts = parts[gone if all_gone else gone + 1 :]
            self._ahead = min(2 * gone, self._measure.at_once) if all_gone else max(1, gone)
        return circuit
