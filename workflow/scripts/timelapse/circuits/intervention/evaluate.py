"""Logit differences of circuits over a dataset: what every measure of a circuit begins with."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import Ablation, ablated_batches
from timelapse.circuits.intervention.forward import logit_differences
from timelapse.circuits.settings import Settings
from timelapse.models.metric_values import last_logits, logit_difference
from timelapse.models.prompts import Prompts


def circuit_measure(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    kept: Bool[np.ndarray, "circuit edge"],
    settings: Settings,
) -> Float[np.ndarray, "circuit prompt"]:
    """The logit difference of every prompt in every circuit; prompts bucket by bucket.

    It costs one pass in the ablated world, which is also the circuit without edges, and one for
    every other circuit that leads to the logits; the circuit of all edges is the model as it is.

    Args:
        bridge: the model.
        shape: its graph.
        prompts: buckets of prompts.
        corruption: the scheme that corrupts them.
        kept: the circuits; edges in the order of `GraphShape.edges`. Equal ones are run once.
        settings: `ablation`, and `batch`: prompts, or pairs of a circuit and a prompt, at a time.
    """
    packed, number = np.unique(np.packbits(kept, axis=1), axis=0, return_inverse=True)
    circuits = torch.from_numpy(np.unpackbits(packed, axis=1, count=kept.shape[1]).astype(bool))
    found = [
        _batch_measure(bridge, shape, batch, ablation, circuits, settings.batch)
        for bucket in prompts
        for batch, ablation in ablated_batches(
            bridge, shape, bucket, corruption, settings.ablation, settings.batch
        )
    ]
    return torch.cat(found, dim=1).double().cpu().numpy()[number.ravel()]


@torch.no_grad()
def _batch_measure(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    ablation: Ablation,
    circuits: Bool[Tensor, "circuit edge"],
    rows: int,
) -> Float[Tensor, "circuit batch"]:
    whole = circuits.all(1)
    in_part = logit_differences(bridge, shape, prompts, ablation, circuits[~whole], rows)
    found = in_part.new_empty(len(circuits), len(prompts))
    found[~whole] = in_part
    if whole.any():
        logits = last_logits(bridge, prompts.tokens)
        found[whole] = logit_difference(logits, prompts.answer, prompts.foils)
    return found
