"""Circuits run where they were not found: in other checkpoints, and on other tasks.

The matrix F[i, j] is the faithfulness of checkpoint i's circuit inside checkpoint j: if fine-tuning
left a mechanism as it was, the circuit of the one keeps the other's behaviour too. For every host j
all circuits run together: a clean pass, an ablated pass and one for each circuit per corruption.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import circuit_measure
from timelapse.circuits.recovery import Recovery
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.circuits.settings import Settings
from timelapse.errors import UserError
from timelapse.models.prompts import Prompts
from timelapse.seeds import generator
from timelapse.stats import Interval, bootstrap_interval, half_weights
from timelapse.tables import COMPARISON

CROSS_STEP = "cross_faithfulness"
CROSS_TASK = "cross_task_faithfulness"

MOST_SPLITS = 10
"""Splits whose circuits are run; each takes passes through the model."""


@dataclass(frozen=True)
class Guest:
    """A circuit that is run in a checkpoint.

    Attributes:
        step: the checkpoint that it was found in.
        task: the task that it was found on.
        circuit: which edges are kept.
    """

    step: int
    task: str
    circuit: Bool[np.ndarray, "edge"]


@dataclass(frozen=True)
class Place:
    """Where circuits are run.

    Attributes:
        step: the checkpoint.
        task: the task that the prompts are of.
        prompts: buckets of prompts, other ones than the circuits are from.
        corruptions: the schemes over which the measures are pooled: a prompt's logit difference in
            a circuit is its mean over them.
        resamples: of the bootstrap over prompts.
        seed: of the study.
    """

    step: int
    task: str
    prompts: Sequence[Prompts]
    corruptions: Sequence[str]
    resamples: int
    seed: int


def guests(
    edges: Mapping[str, ScoredEdges], steps: Sequence[int], task: str, method: str, n: int
) -> list[Guest]:
    """The circuits of all tasks at some steps: the `n` edges of largest pooled |score|, pruned.

    Those of `task` come first.

    Raises:
        UserError: a table lacks a step or the method, or `n` edges are no part of the graph.
    """
    for scored in edges.values():
        there = len(scored.shape.edges)
        if n >= there:
            raise UserError(
                "config",
                "comparison.edges",
                f"circuits of {n} edges are no part of a model of {there}",
                f"Ask for fewer than {there}",
            )
    tasks = [task, *(name for name in edges if name != task)]
    return [
        Guest(step, name, choose(edges[name].pooled(step, method), edges[name].shape, n))
        for name in tasks
        for step in steps
    ]


def visiting(guests: Sequence[Guest], place: Place, first: int) -> list[Guest]:
    """The guests that are run at a place.

    All of its own task, and of other tasks those of the same step and of the `first`.
    """
    return [
        guest for guest in guests if guest.task == place.task or guest.step in (place.step, first)
    ]


def halved(
    samples: EdgeSamples, place: Place, shape: GraphShape, n: int, n_splits: int
) -> Bool[np.ndarray, "circuit edge"]:
    """The circuits of random halves of the prompts that the place's own circuit is from.

    Raises:
        UserError: the step is missing.
    """
    weights = half_weights(
        len(samples.examples),
        min(n_splits, MOST_SPLITS),
        generator(place.seed, "halves", place.task),
    )
    halves = weights @ samples.pooled(place.step)
    return choose(halves.reshape(-1, halves.shape[-1]), shape, n)


def transfer(
    bridge: TransformerBridge,
    shape: GraphShape,
    place: Place,
    guests: Sequence[Guest],
    halves: Bool[np.ndarray, "circuit edge"],
    settings: Settings,
) -> pa.Table:
    """How faithful circuits are to one checkpoint on one task.

    Args:
        bridge: the checkpoint.
        shape: its graph.
        place: which it is, and what it is measured on.
        guests: the circuits.
        halves: circuits of halves of the checkpoint's own prompts.
        settings: `ablation` and `batch`, see `circuit_measure`.

    Returns:
        `tables.COMPARISON`: a row for each guest, `_a` being where the circuit comes from and `_b`
        the place; circuits of the same task as `CROSS_STEP`, others as `CROSS_TASK`. The interval
        is from a bootstrap over the place's prompts, the circuits being what they are. `null_mean`
        is the mean faithfulness of `halves`, so much as the doubt about the own circuit costs.
    """
    circuits = np.stack([guest.circuit for guest in guests])
    shares = recovered(bridge, shape, place, np.concatenate([circuits, halves]), settings)
    found, own = np.split(shares.value, [len(guests)])
    return comparison_rows(
        step_a=[guest.step for guest in guests],
        step_b=[place.step] * len(guests),
        task_a=[guest.task for guest in guests],
        task_b=[place.task] * len(guests),
        measure=[CROSS_STEP if guest.task == place.task else CROSS_TASK for guest in guests],
        value=found,
        ci_low=shares.low[: len(guests)],
        ci_high=shares.high[: len(guests)],
        null_mean=np.full(len(guests), own.mean() if len(own) else np.nan),
    )


def recovered(
    bridge: TransformerBridge,
    shape: GraphShape,
    place: Place,
    circuits: Bool[np.ndarray, "circuit edge"],
    settings: Settings,
) -> Interval:
    """The shares of the logit difference that circuits recover, pooled over the corruptions."""
    nothing = np.zeros((1, len(shape.edges)), dtype=bool)
    run = np.concatenate([nothing, ~nothing, circuits])
    measured = np.mean(
        [
            circuit_measure(bridge, shape, place.prompts, corruption, run, settings)
            for corruption in place.corruptions
        ],
        axis=0,
    )
    random = generator(place.seed, "transfer", place.task)
    recovery = Recovery(measured[1], measured[0], random, place.resamples)
    return bootstrap_interval(recovery.of(measured[2:]))


def comparison_rows(**columns: Sequence[object] | Float[np.ndarray, "row"]) -> pa.Table:
    """`tables.COMPARISON` from its columns; NaN becomes null."""
    return pa.table(
        [pa.array(columns[field.name], field.type, from_pandas=True) for field in COMPARISON],
        schema=COMPARISON,
    )
