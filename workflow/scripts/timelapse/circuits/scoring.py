"""The probe `edges`: the scores of all edges of a checkpoint, by every method and corruption."""

from collections.abc import Sequence

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.methods import METHODS, MethodSettings
from timelapse.circuits.model_check import graph_of
from timelapse.circuits.scores import MeanScores, ScoresByPrompt
from timelapse.errors import UserError
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.probe_settings import EdgesSettings


def score_edges(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    corruptions: Sequence[str],
    methods: Sequence[str],
    settings: MethodSettings,
    metric: Metric,
) -> dict[str, pa.Table]:
    """Score the edges of a checkpoint by every method under every corruption.

    Args:
        bridge: the checkpoint.
        prompts: buckets of prompts.
        corruptions: the names of the corruptions.
        methods: names of `METHODS`; the first is the one that circuits are made by.
        settings: of the methods.
        metric: what edges are scored for.

    Returns:
        `edges` and, of the first method alone, `edge_samples`; `edges_by_position` with a row for
        every labelled position if the settings ask for it. All without `step`; their schemas are
        in `tables`.

    Raises:
        UserError: a method is unknown, or the model has another graph than `GraphShape` describes.
    """
    for method in methods:
        if method not in METHODS:
            known = ", ".join(METHODS)
            raise UserError(
                "probes.edges.methods", method, "there is no such method", f"Use {known}"
            )
    shape = graph_of(bridge, prompts, corruptions[0], metric)
    edges, samples, by_position = [], [], []
    for method in methods:
        score = METHODS[method].load()
        for corruption in corruptions:
            means, by_prompt = MeanScores(), ScoresByPrompt()
            for scores in score(bridge, shape, prompts, corruption, settings, metric):
                means.add(scores)
                if method == methods[0]:
                    by_prompt.add(scores)
            edges.append(means.edges(shape, corruption, method))
            by_position.append(means.edges_by_position(shape, corruption, method))
            if method == methods[0]:
                samples.append(by_prompt.edge_samples(corruption, method))
    return {
        "edges": pa.concat_tables(edges),
        "edge_samples": pa.concat_tables(samples),
        "edges_by_position": pa.concat_tables(by_position),
    }


def edges(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    batch_size: int,
    corruptions: Sequence[str],
    settings: EdgesSettings,
    metric: Metric,
) -> dict[str, pa.Table]:
    """Score the edges of a checkpoint; see `score_edges`.

    Args:
        bridge: the checkpoint.
        prompts: buckets of prompts.
        batch_size: prompts run at a time.
        corruptions: the names of the corruptions.
        settings: the methods and their settings.
        metric: what edges are scored for.

    Returns:
        `edges`, `edge_samples` and `edges_by_position`, without `step`.

    Raises:
        UserError: the model has another graph than `GraphShape` describes.
    """
    chosen = MethodSettings(
        batch=batch_size,
        ig_steps=settings.ig_steps,
        ablation=settings.ablation,
        keep=settings.keep,
        threshold=settings.threshold,
        positions=settings.positions,
    )
    return score_edges(bridge, prompts, corruptions, settings.methods, chosen, metric)
