"""Tables of scored edges, written from arrays in the order of `GraphShape.edges`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.selection import choose
from timelapse.tables import EDGE_SAMPLES, EDGES

Scores = Mapping[tuple[str, str], np.ndarray]
"""By corruption and method."""


def edge_rows(shape: GraphShape, step: int, scores: Scores) -> pa.Table:
    """`tables.EDGES`; the standard errors are a tenth of the scores' sizes."""
    return pa.concat_tables(
        pa.table(
            {
                "step": [step] * len(values),
                "corruption": [corruption] * len(values),
                "method": [method] * len(values),
                "source": [source.name for source, _ in shape.edges],
                "target": [target.name for _, target in shape.edges],
                "score": values.astype(np.float32),
                "std_error": np.abs(values / 10).astype(np.float32),
            },
            schema=EDGES,
        )
        for (corruption, method), values in scores.items()
    )


def node_rows(shape: GraphShape, step: int, corruption: str) -> pa.Table:
    """Rows of the method that scores whole nodes."""
    n = len(shape.sources)
    columns = {
        "step": [step] * n,
        "corruption": [corruption] * n,
        "method": ["node"] * n,
        "source": [source.name for source in shape.sources],
        "target": [None] * n,
        "score": [1.0] * n,
        "std_error": [0.1] * n,
    }
    return pa.table(columns, schema=EDGES)


def write_edges(folder: Path, shape: GraphShape, steps: Mapping[int, Scores]) -> list[Path]:
    """One file for each step."""
    return [
        _write(folder / "edges", step, edge_rows(shape, step, scores))
        for step, scores in steps.items()
    ]


def circuit_rows(table: pa.Table, n: int, shape: GraphShape) -> list[dict[str, Any]]:
    """The rows of a table that make the circuit of size `n`, the strongest first.

    Edges without a row are never chosen.
    """
    rows = {(row["source"], row["target"]): row for row in table.to_pylist()}
    names = [(source.name, target.name) for source, target in shape.edges]
    assert rows.keys() <= set(names)
    scores = np.array([rows[edge]["score"] if edge in rows else np.nan for edge in names])
    kept = [rows[names[number]] for number in np.flatnonzero(choose(scores, shape, n))]
    return sorted(kept, key=lambda row: (-abs(row["score"]), row["source"], row["target"]))


def sample_rows(step: int, samples: Scores, examples: np.ndarray | None = None) -> pa.Table:
    """`tables.EDGE_SAMPLES` from arrays [example, edge]."""
    parts = []
    for (corruption, method), values in samples.items():
        n, n_edges = values.shape
        ends = np.arange(n + 1, dtype=np.int32) * n_edges
        columns = {
            "step": [step] * n,
            "corruption": [corruption] * n,
            "method": [method] * n,
            "example": np.arange(n) if examples is None else examples,
            "scores": pa.ListArray.from_arrays(ends, values.astype(np.float32).ravel()),
        }
        parts.append(pa.table(columns, schema=EDGE_SAMPLES))
    return pa.concat_tables(parts)


def write_samples(folder: Path, steps: Mapping[int, Scores]) -> list[Path]:
    """One file for each step."""
    return [
        _write(folder / "edge_samples", step, sample_rows(step, samples))
        for step, samples in steps.items()
    ]


def _write(folder: Path, step: int, table: pa.Table) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{step:06d}.parquet"
    pq.write_table(table, path)
    return path
