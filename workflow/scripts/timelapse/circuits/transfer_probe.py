"""The probe `transfer`: circuits run in other checkpoints, and heads moved between checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.cross_checkpoint import (
    EvaluationSite,
    SourceCircuit,
    circuits_for,
    cross_faithfulness,
    source_circuits,
    split_half_circuits,
)
from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.head_transplant import transplants
from timelapse.circuits.model_check import check_matches_model, graph_of
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.probe_settings import Comparison


@dataclass(frozen=True)
class TransferInputs:
    """What is run in every compared checkpoint.

    Attributes:
        first: the run's first checkpoint.
        first_step: its step.
        shape: the graph of the model.
        circuits: of all compared checkpoints, on all tasks.
        samples: the scores of edges prompt by prompt, of the part's checkpoints.
    """

    first: TransformerBridge
    first_step: int
    shape: GraphShape
    circuits: Sequence[SourceCircuit]
    samples: EdgeSamples


def read_circuits(
    bridge: TransformerBridge,
    step: int,
    compared: Sequence[int],
    task: str,
    inputs: Mapping[tuple[str, str], Sequence[Path]],
    settings: Comparison,
    method: str,
) -> TransferInputs:
    """Read the circuits that are run in the checkpoints of a part.

    Args:
        bridge: the run's first checkpoint.
        step: its step.
        compared: the steps whose circuits are compared.
        task: the task.
        inputs: the files of `edges` of all tasks and of `edge_samples` of this task.
        settings: how large the circuits are.
        method: whose scores make them.

    Raises:
        UserError: a file cannot be used, or the circuits are as large as the graph.
    """
    edges = {
        name: ScoredEdges.read(files) for (name, table), files in inputs.items() if table == "edges"
    }
    shape = edges[task].shape
    samples = EdgeSamples.open(inputs[task, "edge_samples"], method, len(shape.edges))
    circuits = source_circuits(edges, compared, task, method, settings.edges)
    return TransferInputs(bridge, step, shape, circuits, samples)


def measure_transfer(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    batch_size: int,
    corruptions: Sequence[str],
    settings: Comparison,
    metric: Metric,
    step: int,
    task: str,
    seed: int,
    prepared: TransferInputs,
) -> pa.Table:
    """Run circuits in a checkpoint, and move heads between it and the run's first checkpoint.

    Args:
        bridge: the checkpoint.
        prompts: buckets of prompts, other ones than the circuits are from.
        batch_size: prompts run at a time.
        corruptions: the names of the corruptions.
        settings: how large the circuits of halves are, and how many.
        metric: what circuits are to keep.
        step: of the checkpoint.
        task: the task that the prompts are of.
        seed: of the study.
        prepared: what `read_circuits` returned.

    Returns:
        `tables.COMPARISON`; see `cross_faithfulness` and `transplants`.

    Raises:
        UserError: the model has another graph than the circuits, or rounds otherwise than where the
            edges were scored.
    """
    shape = prepared.shape
    graph_of(bridge, prompts, corruptions[0], metric)
    check_matches_model(bridge, shape, prompts, corruptions[0], metric)
    here, first = (
        EvaluationSite(at, task, prompts, corruptions, metric, settings.resamples, seed)
        for at in (step, prepared.first_step)
    )
    halves = split_half_circuits(prepared.samples, here, shape, settings.edges, settings.splits)
    circuits = circuits_for(prepared.circuits, here, first.step)
    tables = [cross_faithfulness(bridge, shape, here, circuits, halves, batch_size)]
    if step != first.step:
        tables += [
            transplants(prepared.first, bridge, step, shape, first, batch_size),
            transplants(bridge, prepared.first, first.step, shape, here, batch_size),
        ]
    return pa.concat_tables(tables)
