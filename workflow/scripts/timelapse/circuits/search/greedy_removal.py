"""The mean logit difference of circuits over all prompts: what searches decide by."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import Ablation, ablated_batches
from timelapse.circuits.intervention.forward import logit_differences
from timelapse.circuits.settings import Settings
from timelapse.models.prompts import Prompts


class Measure:
    """Measures circuits on one set of prompts, of any lengths; every prompt has the same weight.

    Args:
        bridge: the model.
        shape: its graph.
        prompts: buckets of prompts.
        corruption: the scheme that corrupts them.
        settings: `ablation` says what edges outside a circuit carry. `batch` pairs of a circuit and
            a prompt share a forward pass. Ablated worlds are kept for a batch of prompts at most;
            with more prompts they are computed anew for every measurement.
    """

    def __init__(
        self,
        bridge: TransformerBridge,
        shape: GraphShape,
        prompts: Sequence[Prompts],
        corruption: str,
        settings: Settings,
    ) -> None:
        self._bridge, self._shape, self._prompts = bridge, shape, prompts
        self._corruption, self._settings = corruption, settings
        self._n_prompts = sum(map(len, prompts))
        self._remembered: list[tuple[Prompts, Ablation]] = []
        if self._n_prompts <= settings.batch:
            self._remembered = list(self.worlds())

    @property
    def at_once(self) -> int:
        """How many circuits fit into one forward pass."""
        longest = max(map(len, self._prompts))
        return max(1, self._settings.batch // longest)

    def worlds(self) -> Iterator[tuple[Prompts, Ablation]]:
        """Batches of all prompts, each with its ablated world."""
        if self._remembered:
            yield from self._remembered
            return
        for bucket in self._prompts:
            yield from ablated_batches(
                self._bridge,
                self._shape,
                bucket,
                self._corruption,
                self._settings.ablation,
                self._settings.batch,
            )

    def each(
        self, prompts: Prompts, ablation: Ablation, kept: Bool[Tensor, "circuit edge"]
    ) -> Float[Tensor, "circuit batch"]:
        """The logit difference of every circuit and prompt of one batch."""
        return logit_differences(
            self._bridge, self._shape, prompts, ablation, kept, self._settings.batch
        )

    def __call__(self, kept: Bool[Tensor, "circuit edge"]) -> list[float]:
        """The mean logit difference of every circuit."""
        total = torch.zeros(len(kept), dtype=torch.float64)
        for prompts, ablation in self.worlds():
            total += self.each(prompts, ablation, kept).sum(1, dtype=torch.float64).cpu()
        return (total / self._n_prompts).tolist()


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
