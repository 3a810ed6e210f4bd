"""Iterative node ablation: heads and MLPs are dropped while the circuit keeps enough.

Lan et al., "Towards Interpretable Sequence Continuation: Analyzing Shared Circuits in Large
Language Models" (2023, arXiv 2311.04131). Heads and MLPs are offered for dropping from the last to
the first, then from the first to the last, and so on until nothing more is dropped. A node is
dropped, that is, all edges from it are ablated, if the circuit without it keeps at least a share of
the model's mean metric. Then the edges between the nodes that are left are path patched.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle

import torch
from jaxtyping import Bool
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.reachability import wiring
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.search.greedy_removal import MeasuredCircuit, PartRemover, effects_within
from timelapse.errors import UserError
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts


def node_ablation(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> Iterator[PromptScores]:
    """Scores of the edges between the nodes that are left, by path patching; 0 for the others.

    Raises:
        UserError: `settings.keep` is not a share.
    """
    evaluator = CircuitEvaluator(
        bridge, shape, prompts, corruption, metric, settings.ablation, settings.batch
    )
    nodes = surviving_nodes(evaluator, shape, settings.keep)
    yield from effects_within(evaluator, edges_between(shape, nodes))


@torch.no_grad()
def surviving_nodes(
    evaluator: CircuitEvaluator, shape: GraphShape, keep: float
) -> Bool[Tensor, " source"]:
    """Which of `GraphShape.sources` are left; the input always is.

    The sweeps end when one of them drops nothing: all nodes that are left were then judged within
    the same circuit.

    Args:
        evaluator: measures circuits.
        shape: the model's graph.
        keep: the share of the model's mean metric that the circuit must keep, whichever
            sign it has.

    Raises:
        UserError: the share is not above 0 and at most 1.
    """
    if not 0 < keep <= 1:
        raise UserError(
            "probes.edges",
            "keep",
            f"{keep} is not a share to keep",
            "Give a number above 0 and at most 1",
        )
    source_of_edge = torch.from_numpy(wiring(shape).source)
    from_node = source_of_edge == torch.arange(len(shape.sources))[:, None]
    everything = torch.ones(len(shape.edges), dtype=torch.bool)
    (full,) = evaluator.means(everything[None])
    remover = PartRemover(evaluator.means, evaluator.at_once)
    circuit = MeasuredCircuit(everything, full)
    left = torch.arange(1, len(shape.sources))
    for order in cycle([-1, 1]):
        circuit = remover.in_turn(
            circuit,
            from_node[left.sort(descending=order < 0).values],
            lambda _, without: without * full >= keep * full**2 > 0,
        )
        still = left[[bool(circuit.kept[from_node[node]].any()) for node in left]]
        if len(still) == len(left):
            break
        left = still
    survives = torch.zeros(len(shape.sources), dtype=torch.bool)
    survives[0] = True
    survives[left] = True
    return survives


def edges_between(shape: GraphShape, nodes: Bool[Tensor, " source"]) -> Bool[Tensor, " edge"]:
    """The edges from these nodes into them and into the logits.

    A shared key or value is theirs if one of the heads that read through it is.
    """
    named = {source for source, is_in in zip(shape.sources, nodes, strict=True) if is_in}
    reads = torch.tensor(
        [
            target.kind == "logits" or not named.isdisjoint(shape.readers(target))
            for target in shape.targets
        ]
    )
    graph = wiring(shape)
    return nodes[torch.from_numpy(graph.source)] & reads[torch.from_numpy(graph.target)]
