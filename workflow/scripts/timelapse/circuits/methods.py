"""The methods that score the edges of a model's graph, by name.

Each is a function (bridge, shape, prompts, corruption, settings) -> scores of prompts, batch by
batch; what scores batches independently of each other is made one by `by_batch`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.eap import clean_corrupted, eap, eap_ig, node
from timelapse.circuits.attribution.eap_ig_activations import eap_ig_activations
from timelapse.circuits.batch_memory import equal_parts, prompts_at_once
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.exact_patching import exact
from timelapse.circuits.model_check import graph_of
from timelapse.circuits.scores import Means, PromptScores, Samples
from timelapse.circuits.search.acdc import acdc
from timelapse.circuits.search.node_ablation import node_ablation
from timelapse.circuits.settings import Settings
from timelapse.errors import UserError
from timelapse.models.prompts import Prompts

Method: TypeAlias = Callable[
    [TransformerBridge, GraphShape, Sequence[Prompts], str, Settings], Iterator[PromptScores]
]
Kernel: TypeAlias = Callable[[TransformerBridge, GraphShape, Prompts, str, Settings], PromptScores]


def by_batch(kernel: Kernel) -> Method:
    """The method that scores buckets of prompts in batches of `settings.batch` or fewer.

    Fewer where that many do not fit the memory.
    """

    def method(
        bridge: TransformerBridge,
        shape: GraphShape,
        prompts: Sequence[Prompts],
        corruption: str,
        settings: Settings,
    ) -> Iterator[PromptScores]:
        for bucket in prompts:
            fits = prompts_at_once(bridge, bucket.tokens.shape[1], settings.batch)
            there = bucket.to(bridge.cfg.device)
            for batch in there.batches(equal_parts(len(bucket), fits)):
                yield kernel(bridge, shape, batch, corruption, replace(settings, batch=fits))

    return method


METHODS: Mapping[str, Method] = {
    "EAP": by_batch(eap),
    "EAP-IG": by_batch(eap_ig),
    "EAP-IG-activations": by_batch(eap_ig_activations),
    "clean-corrupted": by_batch(clean_corrupted),
    "node": by_batch(node),
    "exact": exact,
    "node-ablation": node_ablation,
    "ACDC": acdc,
}


def score_edges(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    corruptions: Sequence[str],
    methods: Sequence[str],
    settings: Settings,
) -> dict[str, pa.Table]:
    """The tables of one model: every method on every corruption.

    Returns:
        `edges` and, of the first method alone, `edge_samples`; `edges_by_position` with a row for
        every labelled position if the settings ask for it. All without `step`; their schemas are
        in `tables`.

    Raises:
        UserError: a method is unknown, or the model has another graph than `GraphShape` describes.
    """
    for method in methods:
        if method not in METHODS:
            raise UserError(
                "probes.edges.methods", method, "there is no such method", f"Use {_names()}"
            )
    shape = graph_of(bridge, prompts, corruptions[0])
    edges, samples, by_position = [], [], []
    for method in methods:
        for corruption in corruptions:
            means, each = Means(), Samples()
            for found in METHODS[method](bridge, shape, prompts, corruption, settings):
                means.add(found)
                if method == methods[0]:
                    each.add(found)
            edges.append(means.edges(shape, corruption, method))
            by_position.append(means.edges_by_position(shape, corruption, method))
            if method == methods[0]:
                samples.append(each.edge_samples(corruption, method))
    return {
        "edges": pa.concat_tables(edges),
        "edge_samples": pa.concat_tables(samples),
        "edges_by_position": pa.concat_tables(by_position),
    }


def _names() -> str:
    return ", ".join(METHODS)
