"""The probe `edges`: the scores of all edges of a checkpoint, by every method of a study."""

from collections.abc import Sequence

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.scoring import score_edges
from timelapse.circuits.settings import MethodSettings
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.registry import EdgesSettings


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
