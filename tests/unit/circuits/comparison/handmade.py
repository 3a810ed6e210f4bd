"""Circuits and runs made by hand for the tests of comparisons."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from circuits.edge_tables import write_samples

from timelapse.circuits.comparison.circuit_sets import Circuits
from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape

ONE_HEAD = GraphShape(n_layers=1, n_heads=1, n_kv_heads=1)
FOUR_HEADS = GraphShape(n_layers=2, n_heads=4, n_kv_heads=4)

Edges = Mapping[str, float]
"""Scores by `source->target`."""


def row(shape: GraphShape, edges: Edges) -> np.ndarray:
    """Scores in the order of the graph's edges, 0 where none is given."""
    names = [f"{source.name}->{target.name}" for source, target in shape.edges]
    assert set(edges) <= set(names)
    return np.array([edges.get(name, 0.0) for name in names], dtype=np.float32)


def circuits(shape: GraphShape, *each: Edges) -> Circuits:
    """One sample of circuits; those of their edges that have a score are kept."""
    scores = np.stack([row(shape, edges) for edges in each])[None]
    return Circuits(shape, scores, scores != 0)


def path(*heads: str, score: float) -> Edges:
    """The edges of a path through the values of heads, all with one score."""
    nodes = ["input", *heads, "logits"]
    ends = [*(f"{head}<v>" for head in heads), "logits"]
    return {f"{node}->{end}": score for node, end in zip(nodes, ends, strict=False)}


def samples_of(
    folder: Path,
    steps: Mapping[int, np.ndarray],
    noise: float = 0.1,
    n_prompts: int = 60,
    seed: int = 0,
) -> EdgeSamples:
    """Scores of prompts that scatter about a mean of every step, under two corruptions."""
    random = np.random.default_rng(seed)
    tables = {
        step: {
            (corruption, "EAP"): mean + noise * random.standard_normal((n_prompts, len(mean)))
            for corruption in ("first", "second")
        }
        for step, mean in steps.items()
    }
    n_edges = len(next(iter(steps.values())))
    return EdgeSamples.open(write_samples(folder, tables), "EAP", n_edges)


def merged(*parts: Edges) -> Edges:
    """The sums of scores."""
    names: Sequence[str] = [name for part in parts for name in part]
    return {name: sum(part.get(name, 0.0) for part in parts) for name in names}
