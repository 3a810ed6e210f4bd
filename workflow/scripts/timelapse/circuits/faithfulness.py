"""The probe `faithfulness`: how much of a model's behaviour its circuits keep.

They are measured on prompts that they were not found on. For a checkpoint and a corruption: the
curve of faithfulness over circuit sizes, with that of their complements, and single numbers that
sum it up.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator, clean_values
from timelapse.circuits.model_check import check_matches_model, graph_of
from timelapse.circuits.reachability import wiring
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import Selection, choose
from timelapse.circuits.size_curve import (
    FRACTIONS,
    Curve,
    Recovery,
    area,
    first_reaching,
    sizes_at,
    widths,
)
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.probe_settings import FaithfulnessSettings
from timelapse.seeds import generator
from timelapse.stats import Interval, bootstrap_interval
from timelapse.tables import CIRCUIT_QUALITY, FAITHFULNESS

THRESHOLDS = (0.5, 0.8, 0.9, 0.95)
"""Shares of the metric for which the smallest circuit is looked for."""

SUFFICIENT = 0.8
"""The one of them whose circuit is weighed and tested for minimality."""

_Circuits = Bool[np.ndarray, "circuit edge"]


def faithfulness(
    evaluator: CircuitEvaluator,
    method: str,
    scores: Float[np.ndarray, " edge"],
    seed: int = 0,
) -> dict[str, pa.Table]:
    """Evaluate the circuits that scores of edges make.

    Faithfulness is f = (m(C) - m(0)) / (m(N) - m(0)), see `recovery`; completeness is the f of all
    edges but the circuit's, near 0 if the circuit is all that does the task (Wang et al.,
    "Interpretability in the Wild", 2023, section 4).

    Args:
        evaluator: measures circuits of the checkpoint, on other prompts than the scores are from.
        method: what the scores are from, for the tables.
        scores: in the order of `GraphShape.edges`.
        seed: the study's; the bootstrap over prompts draws by it.

    Returns:
        `faithfulness`: a row for each of `FRACTIONS`, with circuits chosen by |score|. `n_edges`
        and `weighted_size` (the sum of `size_curve.widths`) count what pruning leaves.
        `circuit_quality`: `CMD`, the area of |1 - f|, and `CPR`, that of f with signed selection
        (`size_curve.area`); `size_50` to `size_95`, the edges that pruning leaves of the smallest
        circuit evaluated that keeps so much; `weighted_size_80`; and `minimality`, the smallest
        change of f when one head or MLP is taken out of the circuit of `size_80`.
        Null where f is undefined, because prompts and ablated prompts have the same metric. Without
        `step`; the schemas are in `tables`.
    """
    shape, config = evaluator.shape, evaluator.bridge.cfg
    sizes = sizes_at(FRACTIONS, len(shape.edges))
    nothing = np.zeros((1, len(shape.edges)), dtype=bool)
    strongest = _circuits(scores, shape, sizes, "absolute")
    helpful = _circuits(scores, shape, sizes, "signed")
    values = evaluator.values(np.concatenate([nothing, ~nothing, strongest, ~strongest, helpful]))
    recovery = Recovery(values[1], values[0], generator(seed, "faithfulness"))
    kept, left, signed = (recovery.of(part) for part in np.split(values[2:], 3))

    def recovered(circuits: _Circuits) -> Float[np.ndarray, "sample circuit"]:
        return recovery.of(evaluator.values(circuits))

    curve = Curve(sizes, strongest, kept)
    between = curve.between(THRESHOLDS)
    if between:
        more = _circuits(scores, shape, between, "absolute")
        curve = curve.joined(Curve(between, more, recovered(more)))

    width = widths(shape, config.d_model, config.d_head)
    quality = {
        "CMD": bootstrap_interval(area(FRACTIONS, np.abs(1 - kept)), bounds=(0.0, np.inf)),
        "CPR": bootstrap_interval(area(FRACTIONS, signed)),
        "minimality": _minimality(curve, shape, recovered),
        **{
            f"size_{100 * share:.0f}": curve.smallest(share, np.ones_like(width))
            for share in THRESHOLDS
        },
        f"weighted_size_{100 * SUFFICIENT:.0f}": curve.smallest(SUFFICIENT, width),
    }
    faithful = bootstrap_interval(kept)
    by_fraction = {
        "fraction": FRACTIONS,
        "n_edges": strongest.sum(1),
        "faithfulness": faithful.value,
        "ci_low": faithful.low,
        "ci_high": faithful.high,
        "completeness": left[0],
        "weighted_size": strongest @ width,
    }
    by_measure = {
        "measure": list(quality),
        "value": [float(found.value) for found in quality.values()],
        "ci_low": [float(found.low) for found in quality.values()],
        "ci_high": [float(found.high) for found in quality.values()],
    }
    return {
        "faithfulness": _table(FAITHFULNESS, evaluator.corruption, method, by_fraction),
        "circuit_quality": _table(CIRCUIT_QUALITY, evaluator.corruption, method, by_measure),
    }


def _circuits(
    scores: Float[np.ndarray, " edge"], shape: GraphShape, sizes: Sequence[int], how: Selection
) -> _Circuits:
    """The pruned circuit of every size; that of all edges is the graph."""
    everything = np.ones(len(scores), dtype=bool)
    return np.stack(
        [choose(scores, shape, size, how) if size < len(scores) else everything for size in sizes]
    )


def _minimality(
    curve: Curve,
    shape: GraphShape,
    recovered: Callable[[_Circuits], Float[np.ndarray, "sample circuit"]],
) -> Interval:
    """How much the most dispensable node of the smallest sufficient circuit matters.

    The largest circuit is taken if none suffices; NaN if it has neither head nor MLP.
    """
    place = int(first_reaching(curve.shares[0], SUFFICIENT))
    without_node = _without_each_node(curve.circuits[place], shape)
    if not len(without_node):
        return bootstrap_interval(np.full_like(curve.shares[:, place], np.nan))
    changes = np.abs(curve.shares[:, place, None] - recovered(without_node))
    return bootstrap_interval(changes.min(-1), bounds=(0.0, np.inf))


def _without_each_node(circuit: Bool[np.ndarray, " edge"], shape: GraphShape) -> _Circuits:
    """The circuit without the edges out of a node, for every head and MLP in it.

    What led to that node alone is pruned with it.
    """
    graph = wiring(shape)
    nodes = np.unique(graph.source[circuit])
    return graph.on_paths(circuit & (graph.source != nodes[nodes > 0, None]))


def _table(schema: pa.Schema, corruption: str, method: str, columns: Mapping[str, Any]) -> pa.Table:
    schema = schema.remove(schema.get_field_index("step"))
    n_rows = len(next(iter(columns.values())))
    columns = {"corruption": [corruption] * n_rows, "method": [method] * n_rows, **columns}
    return pa.table(
        [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema],
        schema=schema,
    )


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
