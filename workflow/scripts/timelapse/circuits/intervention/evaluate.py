"""The metric of circuits over a dataset, and what corrupting single edges does to it.

Exact edge patching is the oracle of the other methods: the score of an edge is the metric of the
clean prompt with this edge alone ablated, minus that of the clean prompt. Negative: the edge helps.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import ReferenceActivations, reference_batches
from timelapse.circuits.intervention.forward import circuit_values
from timelapse.circuits.methods import AblationKind, MethodSettings
from timelapse.circuits.scores import PromptScores
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
        clean: Float[np.ndarray, " prompt"] | None = None,
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
    def clean(self) -> Float[np.ndarray, " prompt"]:
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
) -> Float[np.ndarray, " prompt"]:
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
    circuit: Bool[Tensor, " edge"], edges: Int[Tensor, " some_edge"]
) -> Iterator[Bool[Tensor, "some edge"]]:
    """A circuit without one of its edges, for each of some edges in their order, some at a time."""
    for some in edges.split(_CIRCUITS):
        without = circuit.repeat(len(some), 1)
        without[torch.arange(len(some)), some] = False
        yield without
