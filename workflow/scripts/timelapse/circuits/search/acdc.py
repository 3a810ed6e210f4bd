"""ACDC: from the logits backwards, every edge is dropped that the metric hardly feels.

Conmy et al., "Towards Automated Circuit Discovery for Mechanistic Interpretability" (2023),
algorithm 1. Targets come in reverse order of the computation, and of each target the latest source
first. An edge is ablated for good if that, with all edges dropped so far ablated too, changes the
measure by less than a threshold. There the measure is a divergence from the model's output; here it
is the mean metric, and a change in either direction counts: an edge that hinders is kept
like one that helps.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.search.greedy_removal import MeasuredCircuit, PartRemover, effects_within
from timelapse.errors import UserError
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts


def acdc(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> Iterator[PromptScores]:
    """Scores of the edges that ACDC keeps, by path patching within its circuit; 0 for the others.

    Raises:
        UserError: `settings.threshold` is not a share.
    """
    evaluator = CircuitEvaluator(
        bridge, shape, prompts, corruption, metric, settings.ablation, settings.batch
    )
    yield from effects_within(evaluator, acdc_circuit(evaluator, shape, settings.threshold))


@torch.no_grad()
def acdc_circuit(
    evaluator: CircuitEvaluator, shape: GraphShape, threshold: float
) -> Bool[Tensor, " edge"]:
    """The edges that ACDC keeps.

    An edge into a target from which no kept edge leads on to the logits changes nothing: it goes
    without being measured.

    Args:
        evaluator: measures circuits.
        shape: the model's graph.
        threshold: the change from which on an edge stays, as a share of the clean minus the
            corrupted mean metric.

    Raises:
        UserError: the threshold is negative or not a number.
    """
    if not threshold >= 0:
        raise UserError(
            "probes.edges", "threshold", f"{threshold} is not a share", "Give a number from 0 on"
        )
    n_edges = len(shape.edges)
    all_or_none = torch.tensor([True, False])[:, None].repeat(1, n_edges)
    clean, corrupted = evaluator.means(all_or_none)
    limit = threshold * abs(clean - corrupted)
    remover = PartRemover(evaluator.means, evaluator.at_once)
    circuit = MeasuredCircuit(all_or_none[0], clean)
    leads_on = dict.fromkeys(shape.sources, False)
    end = n_edges
    for target in reversed(shape.targets):
        first = end - shape.n_upstream(target)
        into = torch.arange(end - 1, first - 1, -1)
        matters = target.kind == "logits" or any(map(leads_on.get, shape.readers(target)))
        if matters or not limit:
            parts = torch.zeros(len(into), n_edges, dtype=torch.bool)
            parts[torch.arange(len(into)), into] = True
            circuit = remover.in_turn(
                circuit, parts, lambda before, after: abs(after - before) < limit
            )
        else:
            kept = circuit.kept.clone()
            kept[into] = False
            circuit = MeasuredCircuit(kept, circuit.value)
        for source, is_kept in zip(shape.upstream(target), circuit.kept[first:end], strict=True):
            leads_on[source] |= bool(is_kept)
        end = first
    return circuit.kept
