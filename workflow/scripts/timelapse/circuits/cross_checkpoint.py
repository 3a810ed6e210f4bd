"""Circuits run where they were not found: in other checkpoints, and on other tasks.

The matrix F[i, j] is the faithfulness of checkpoint i's circuit inside checkpoint j: if fine-tuning
left a mechanism as it was, the circuit of the one keeps the other's behaviour too. All circuits run
together in a checkpoint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator, clean_values
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.circuits.size_curve import Recovery
from timelapse.errors import UserError
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.seeds import generator
from timelapse.stats import Interval, bootstrap_interval, half_weights
from timelapse.tables import COMPARISON

CROSS_STEP = "cross_faithfulness"
CROSS_TASK = "cross_task_faithfulness"

MOST_SPLITS = 10
"""Splits whose circuits are run."""


@dataclass(frozen=True)
class SourceCircuit:
    """A circuit that is run in a checkpoint.

    Attributes:
        step: the checkpoint that it was found in.
        task: the task that it was found on.
        kept: which edges are in it.
    """

    step: int
    task: str
    kept: Bool[np.ndarray, " edge"]


@dataclass(frozen=True)
class EvaluationSite:
    """Where circuits are run, and what is measured there.

    Attributes:
        step: the checkpoint.
        task: the task that the prompts are of.
        prompts: buckets of prompts, other ones than the circuits are from.
        corruptions: those over which the measures are pooled: a prompt's metric in a circuit is its
            mean over them.
        metric: what is measured of every prompt.
        resamples: of the bootstrap over prompts.
        seed: of the study.
    """

    step: int
    task: str
    prompts: Sequence[Prompts]
    corruptions: Sequence[str]
    metric: Metric
    resamples: int
    seed: int


def source_circuits(
    edges: Mapping[str, ScoredEdges], steps: Sequence[int], task: str, method: str, n: int
) -> list[SourceCircuit]:
    """The circuits of all tasks at some steps: the `n` edges of largest pooled |score|, pruned.

    Those of `task` come first.

    Raises:
        UserError: a table lacks a step or the method, or the graph has only `n` edges or fewer.
    """
    for scored in edges.values():
        n_edges = len(scored.shape.edges)
        if n >= n_edges:
            raise UserError(
                "config",
                "comparison.edges",
                f"circuits of {n} edges, but the model has only {n_edges} edges",
                f"Ask for fewer than {n_edges}",
            )
    tasks = [task, *(name for name in edges if name != task)]
    return [
        SourceCircuit(step, name, choose(edges[name].pooled(step, method), edges[name].shape, n))
        for name in tasks
        for step in steps
    ]


def circuits_for(
    circuits: Sequence[SourceCircuit], site: EvaluationSite, first: int
) -> list[SourceCircuit]:
    """The circuits that are run at a site.

    All of its own task, and of other tasks those of the same step and of the `first`.
    """
    return [
        circuit
        for circuit in circuits
        if circuit.task == site.task or circuit.step in (site.step, first)
    ]


def split_half_circuits(
    samples: EdgeSamples, site: EvaluationSite, shape: GraphShape, n: int, n_splits: int
) -> Bool[np.ndarray, "circuit edge"]:
    """The circuits of random halves of the prompts that the site's own circuit is from.

    Args:
        samples: the scores of edges prompt by prompt, on the site's task.
        site: whose step it is.
        shape: the graph.
        n: the size of the circuits before pruning.
        n_splits: how many times the prompts are split, `MOST_SPLITS` at most.

    Raises:
        UserError: the step is missing.
    """
    weights = half_weights(
        len(samples.examples),
        min(n_splits, MOST_SPLITS),
        generator(site.seed, "halves", site.task),
    )
    halves = weights @ samples.pooled(site.step)
    return choose(halves.reshape(-1, halves.shape[-1]), shape, n)


def cross_faithfulness(
    bridge: TransformerBridge,
    shape: GraphShape,
    site: EvaluationSite,
    circuits: Sequence[SourceCircuit],
    halves: Bool[np.ndarray, "circuit edge"],
    batch_size: int,
) -> pa.Table:
    """How faithful circuits are to one checkpoint on one task.

    Args:
        bridge: the checkpoint.
        shape: its graph.
        site: which checkpoint it is, and what is measured there.
        circuits: what is run.
        halves: circuits of halves of the checkpoint's own prompts.
        batch_size: prompts run at a time.

    Returns:
        `tables.COMPARISON`: a row for each circuit, `_a` being where it comes from and `_b` the
        site; circuits of the same task as `CROSS_STEP`, others as `CROSS_TASK`. The interval is
        from a bootstrap over the site's prompts, the circuits being what they are. `null_mean` is
        the mean faithfulness of `halves`: what is lost because the own circuit is uncertain.
    """
    kept = np.concatenate([[circuit.kept for circuit in circuits], halves])
    shares = recovered(bridge, shape, site, kept, batch_size)
    n = len(circuits)
    own = shares.value[n:]
    return comparison_rows(
        step_a=[circuit.step for circuit in circuits],
        step_b=[site.step] * n,
        task_a=[circuit.task for circuit in circuits],
        task_b=[site.task] * n,
        measure=[CROSS_STEP if own.task == site.task else CROSS_TASK for own in circuits],
        value=shares.value[:n],
        ci_low=shares.low[:n],
        ci_high=shares.high[:n],
        null_mean=np.full(n, own.mean() if len(own) else np.nan),
    )


def recovered(
    bridge: TransformerBridge,
    shape: GraphShape,
    site: EvaluationSite,
    circuits: Bool[np.ndarray, "circuit edge"],
    batch_size: int,
) -> Interval:
    """The shares of the metric that circuits recover at a site, pooled over its corruptions."""
    clean = clean_values(bridge, site.prompts, site.metric, batch_size)
    run = np.concatenate([np.zeros((1, len(shape.edges)), dtype=bool), circuits])
    ablated, *values = np.mean(
        [
            CircuitEvaluator(
                bridge,
                shape,
                site.prompts,
                corruption,
                site.metric,
                batch=batch_size,
                clean=clean,
            ).values(run)
            for corruption in site.corruptions
        ],
        axis=0,
    )
    random = generator(site.seed, "transfer", site.task)
    recovery = Recovery(clean, ablated, random, site.resamples)
    return bootstrap_interval(recovery.of(np.stack(values)))


def comparison_rows(**columns: Sequence[object] | Float[np.ndarray, " row"]) -> pa.Table:
    """`tables.COMPARISON` from its columns; NaN becomes null."""
    return pa.table(
        [pa.array(columns[field.name], field.type, from_pandas=True) for field in COMPARISON],
        schema=COMPARISON,
    )
