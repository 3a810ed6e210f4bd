"""The metric of circuits over a dataset: what faithfulness, searches, exact scores begin with."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import ReferenceActivations, reference_batches
from timelapse.circuits.intervention.forward import circuit_values
from timelapse.circuits.settings import AblationKind
from timelapse.models.hooks import last_logits
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts


class CircuitEvaluator:
    """Measures circuits of one model on one set of prompts, of any lengths.

    Args:
        bridge: the model.
        shape: its graph.
        prompts: buckets of prompts.
        corruption: the corruption of the prompts that ablated edges carry.
        metric: what is measured of every prompt.
        ablation: what edges outside a circuit carry.
        batch: prompts at a time; it bounds the memory. Reference activations are kept for one batch
            at most: with more prompts they are computed anew for every measurement.
        clean: the metric of the whole model as `values` returns it, where it is known.
    """

    def __init__(
        self,
        bridge: TransformerBridge,
        shape: GraphShape,
        prompts: Sequence[Prompts],
        corruption: str,
        metric: Metric,
        ablation: AblationKind = "resample",
        batch: int = 100,
        clean: Float[np.ndarray, "prompt"] | None = None,
    ) -> None:
        self.bridge, self.shape, self.prompts, self.metric = bridge, shape, prompts, metric
        self.corruption, self._ablation, self._batch = corruption, ablation, batch
        self._clean = clean
        self.n_prompts = sum(map(len, prompts))

    @property
    def at_once(self) -> int:
        """How many circuits a search that guesses ahead should measure together."""
        longest = max(map(len, self.prompts))
        return max(1, self._batch // longest)

    @cached_property
    def clean(self) -> Float[np.ndarray, "prompt"]:
        """The metric of the model as it is; prompts bucket by bucket, float64."""
        if self._clean is not None:
            return self._clean
        return clean_values(self.bridge, self.prompts, self.metric, self._batch)

    def batches(self) -> Iterator[tuple[Prompts, ReferenceActivations]]:
        """Batches of all prompts, each with its reference activations."""
        if self.n_prompts <= self._batch:
            yield from self._remembered
        else:
            yield from self._computed()

    def batch_values(
        self,
        prompts: Prompts,
        reference: ReferenceActivations,
        kept: Bool[Tensor, "circuit edge"],
    ) -> Float[Tensor, "circuit batch"]:
        """The metric of every circuit and every prompt of one batch, see `circuit_values`."""
        return circuit_values(self.bridge, self.shape, prompts, reference, kept, self.metric)

    def values(self, kept: Bool[np.ndarray, "circuit edge"]) -> Float[np.ndarray, "circuit prompt"]:
        """The metric of every circuit and prompt.

        The circuit of all edges is the model as it is, that of none the reference.

        Args:
            kept: the circuits; edges in the order of `GraphShape.edges`.

        Returns:
            In float64; prompts bucket by bucket.
        """
        whole = kept.all(1)
        part = torch.from_numpy(kept[~whole])
        found = [self.batch_values(*batch, part) for batch in self.batches()]
        values = np.empty((len(kept), self.n_prompts))
        values[~whole] = torch.cat(found, dim=1).double().cpu().numpy()
        if whole.any():
            values[whole] = self.clean
        return values

    def means(self, kept: Bool[Tensor, "circuit edge"]) -> list[float]:
        """The mean metric of every circuit; every prompt has the same weight."""
        total = torch.zeros(len(kept), dtype=torch.float64)
        for prompts, reference in self.batches():
            total += self.batch_values(prompts, reference, kept).sum(1, dtype=torch.float64).cpu()
        return (total / self.n_prompts).tolist()

    @cached_property
    def _remembered(self) -> list[tuple[Prompts, ReferenceActivations]]:
        return list(self._computed())

    def _computed(self) -> Iterator[tuple[Prompts, ReferenceActivations]]:
        for bucket in self.prompts:
            yield from reference_batches(
                self.bridge, self.shape, bucket, self.corruption, self._ablation, self._batch
            )


@torch.no_grad()
def clean_values(
    bridge: TransformerBridge, prompts: Sequence[Prompts], metric: Metric, batch: int
) -> Float[np.ndarray, "prompt"]:
    """The metric of clean prompts in the model as it is.

    Returns:
        In float64; prompts bucket by bucket.
    """
    found = [
        metric.value(last_logits(bridge, some.tokens), some.answer, some.foils)
        for bucket in prompts
        for some in bucket.to(bridge.cfg.device).batches(batch)
    ]
    return torch.cat(found).double().cpu().numpy()
