"""The mean logit difference of circuits over all prompts: what searches decide by."""

from collections.abc import Iterator, Sequence

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
