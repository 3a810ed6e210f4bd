"""The probe `faithfulness`: how much of a checkpoint's behaviour its circuits keep."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.faithfulness import faithfulness
from timelapse.circuits.intervention.evaluate import CircuitEvaluator, clean_values
from timelapse.circuits.model_check import check_matches_model, graph_of
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.registry import FaithfulnessSettings


def read_edges(task: str, inputs: Mapping[tuple[str, str], Sequence[Path]]) -> ScoredEdges:
    """The scored edges of the checkpoints of a part.

    Args:
        task: the task.
        inputs: the files of the table `edges`, by task and table.

    Raises:
        UserError: a file cannot be used.
    """
    return ScoredEdges.read(inputs[task, "edges"])


def measure_faithfulness(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    batch_size: int,
    corruptions: Sequence[str],
    settings: FaithfulnessSettings,
    metric: Metric,
    step: int,
    method: str,
    seed: int,
    prepared: ScoredEdges,
) -> dict[str, pa.Table]:
    """Evaluate a checkpoint's circuits under every corruption; see `faithfulness`.

    Args:
        bridge: the checkpoint.
        prompts: buckets of prompts, other ones than the scores are from.
        batch_size: prompts run at a time.
        corruptions: the names of the corruptions.
        settings: what edges outside a circuit carry.
        metric: what circuits are to keep.
        step: of the checkpoint.
        method: whose scores make the circuits.
        seed: of the study.
        prepared: what `read_edges` returned.

    Returns:
        `faithfulness` and `circuit_quality`, without `step`.

    Raises:
        UserError: the model has another graph than `GraphShape` describes, or rounds otherwise
            than where the edges were scored, or the step or the method has no scores.
    """
    shape = graph_of(bridge, prompts, corruptions[0], metric)
    check_matches_model(bridge, shape, prompts, corruptions[0], metric)
    clean = clean_values(bridge, prompts, metric, batch_size)
    found = []
    for corruption in corruptions:
        evaluator = CircuitEvaluator(
            bridge, shape, prompts, corruption, metric, settings.ablation, batch_size, clean
        )
        scores = prepared.scores(step, corruption, method)
        found.append(faithfulness(evaluator, method, scores, seed))
    return {name: pa.concat_tables(tables[name] for tables in found) for name in found[0]}
