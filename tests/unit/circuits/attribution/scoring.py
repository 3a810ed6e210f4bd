"""What the tests of the methods share: a method's scores as a dictionary, and their comparison."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from circuits.score_batches import score_batches
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_of
from timelapse.models.metric import LOGIT_DIFF, Metric
from timelapse.models.prompts import Prompts

Name = TypeVar("Name")


def prompt_scores(
    bridge: TransformerBridge,
    prompts: Prompts,
    method: str,
    metric: Metric = LOGIT_DIFF,
    **settings: object,
) -> torch.Tensor:
    """The scores [edge or node, prompt] of a method for the corruption `swap`."""
    shape = graph_of(bridge, [prompts], "swap", metric)
    found = score_batches(
        method, bridge, shape, [prompts], "swap", MethodSettings(**settings), metric
    )
    return torch.cat([scores.scores for scores in found], 1)


def edge_scores(
    bridge: TransformerBridge,
    prompts: Prompts,
    method: str,
    metric: Metric = LOGIT_DIFF,
    **settings: object,
) -> dict[tuple[str, str], float]:
    """The mean scores of a method by edge."""
    means = prompt_scores(bridge, prompts, method, metric, **settings).mean(1).tolist()
    edges = graph_of(bridge, [prompts], "swap", LOGIT_DIFF).edges
    return {
        (source.name, target.name): mean
        for (source, target), mean in zip(edges, means, strict=True)
    }


def node_sums(scores: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """The sum over every node's edges."""
    sums: dict[str, float] = {}
    for (source, _), score in scores.items():
        sums[source] = sums.get(source, 0.0) + score
    return sums


def largest_difference(found: Mapping[Name, float], expected: Mapping[Name, float]) -> float:
    """Between scores of the same edges or nodes, of which most are not zero."""
    assert found.keys() == expected.keys()
    sizes = np.abs(list(expected.values()))
    assert sizes.max() > 1e-2, "nothing to compare"
    assert np.median(sizes) > 1e-4, "most of it is zero"
    return max(abs(found[name] - expected[name]) for name in expected)
