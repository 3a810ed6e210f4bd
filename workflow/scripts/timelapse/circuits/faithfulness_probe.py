"""The probe `faithfulness`: how much of a checkpoint's behaviour its circuits keep."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.faithfulness import faithfulness
from timelapse.circuits.model_check import graph_of, refuse_other_arithmetic
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.settings import Settings
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
        corruptions: the schemes that corrupt the prompts.
        settings: what edges outside a circuit carry.
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
    shape = graph_of(bridge, prompts, corruptions[0])
    refuse_other_arithmetic(bridge, shape, prompts, corruptions[0])
    found = [
        faithfulness(
            bridge,
            shape,
            prompts,
            corruption,
            method,
            prepared.scores(step, corruption, method),
            Settings(batch=batch_size, ablation=settings.ablation),
            seed,
        )
        for corruption in corruptions
    ]
    return {name: pa.concat_tables(tables[name] for tables in found) for name in found[0]}
