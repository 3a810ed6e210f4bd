"""Edge attribution patching: what corrupting an edge does to the logit difference, to first order.

The score of an edge is the sum over positions of (corrupted - clean output of its source) times the
gradient of the clean prompt's logit difference at what its target reads (Syed, Rager & Conmy,
"Attribution Patching Outperforms Automated Circuit Discovery", 2023). Negative: the edge helps.
"""

from collections.abc import Sequence

import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.averages import RunningMean
from timelapse.circuits.architecture import graph_shape, refuse_incomplete_graph
from timelapse.circuits.gradients import target_gradients
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.outputs import output_differences
from timelapse.circuits.runs import run_both
from timelapse.models.prompts import Prompts
from timelapse.tables import EDGES

EAP = "EAP"


def eap(
    bridge: TransformerBridge, prompts: Sequence[Prompts], corruption: str, batch_size: int
) -> pa.Table:
    """Scores of all edges by edge attribution patching: means over all prompts.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        prompts: buckets of prompts; every prompt has the same weight.
        corruption: the scheme that corrupts the prompts.
        batch_size: prompts run at a time. It bounds the memory: beside the model's activations,
            (all sources + targets of one layer) x prompts x positions x d_model numbers.

    Returns:
        `tables.EDGES` without `step`: a row for every edge, in the order of `GraphShape.edges`.

    Raises:
        UserError: the model has another graph than `GraphShape` describes.
    """
    shape = graph_shape(bridge)
    scores = RunningMean(len(shape.edges))
    for bucket in prompts:
        on_device = bucket.to(bridge.cfg.device)
        refuse_incomplete_graph(bridge, shape, on_device[:1], corruption)
        for batch in on_device.batches(batch_size):
            scores.add(edge_scores(bridge, shape, batch, corruption))
    return pa.table(
        {
            "corruption": [corruption] * len(shape.edges),
            "method": [EAP] * len(shape.edges),
            "source": [source.name for source, _ in shape.edges],
            "target": [target.name for _, target in shape.edges],
            "score": scores.mean.float().numpy(),
            "std_error": scores.std_error.float().numpy(),
        },
        schema=EDGES.remove(EDGES.get_field_index("step")),
    )


def edge_scores(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> Float[Tensor, "edge batch"]:
    """The score of every edge for every prompt of one batch."""
    runs = run_both(bridge, shape, prompts, corruption)
    differences = output_differences(bridge, shape, runs)
    groups = []
    done = 0
    for gradients in target_gradients(bridge, shape, runs):
        n_sources = shape.n_upstream(shape.targets[done])
        done += len(gradients)
        groups.append(contract(differences[:n_sources], gradients))
    return torch.cat(groups)


def contract(
    differences: Float[Tensor, "source batch position d_model"],
    gradients: Float[Tensor, "target batch last_position d_model"],
) -> Float[Tensor, "edge batch"]:
    """Products of every output difference with every gradient, summed over the last positions.

    One matrix product per prompt; edges come target by target.
    """
    positions = gradients.shape[2]
    products = torch.bmm(
        gradients.flatten(2).transpose(0, 1),
        differences[:, :, -positions:].flatten(2).permute(1, 2, 0),
    )
    return products.flatten(1).T
