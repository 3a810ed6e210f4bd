"""Activation patching of every site, layer, position and head: the clean run into the corrupted.

Denoising: the corrupted prompts run with one activation taken from the clean run. The value of a
cell is the share of the metric that this restores, 0 = corrupted, 1 = clean: the mean over prompts
of (patched - corrupted) over the mean of (clean - corrupted).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models.metric import LOGIT_DIFF, Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.fast_decoder import Decoder
from timelapse.probes.patching.fast_patching import SuffixPatcher
from timelapse.probes.patching.grid import Cell, Row, all_rows, positions, shares
from timelapse.probes.patching.hooked import HookedPatcher, PairedRuns, paired_runs
from timelapse.tables import PATCHING, without_step

CHECKED = 2
"""Prompts of every bucket and corruption on which the fast way is compared with the model."""


@runtime_checkable
class Patcher(Protocol):
    """Runs the corrupted prompts of a batch with one cell patched, for many cells."""

    def __call__(self, runs: PairedRuns, cells: Sequence[Cell]) -> Float[Tensor, "cell batch"]:
        """The metric of every prompt, cell by cell."""


def patching(
    bridge: TransformerBridge,
    prompts: Sequence[Prompts],
    corruptions: Sequence[str],
    batch_size: int,
    metric: Metric = LOGIT_DIFF,
) -> pa.Table:
    """Patch every cell of a model for each corruption.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        prompts: buckets of prompts; every prompt has the same weight.
        corruptions: names of the prompts' corruptions.
        batch_size: the most prompts that are patched together.
        metric: what is restored.

    Returns:
        `tables.PATCHING` without `step`, corruption by corruption. Sites by position come at every
        position of `grid.positions` and have no head; sites by head have no position. Values are
        shares of the metric, 0 = corrupted, 1 = clean.

    Raises:
        UserError: a corrupted prompt equals its clean one.
    """
    config = bridge.cfg
    rows = all_rows(
        config.n_layers,
        config.n_heads,
        config.n_key_value_heads or config.n_heads,
        positions(prompts, bridge.tokenizer),
    )
    effects: dict[str, list[Float[np.ndarray, "row batch"]]] = {name: [] for name in corruptions}
    gaps: dict[str, list[Float[np.ndarray, " batch"]]] = {name: [] for name in corruptions}
    decoder = Decoder.of(bridge)
    for number, bucket in enumerate(prompts):
        patchers: dict[str, Patcher] = {}
        on_device = bucket.to(config.device)
        for part in _equal_parts(len(bucket), batch_size):
            batch = on_device[part]
            all_runs = paired_runs(bridge, batch, corruptions, metric)
            for corruption, runs in zip(corruptions, all_runs, strict=True):
                if corruption not in patchers:
                    patchers[corruption] = fitting_patcher(bridge, decoder, runs)
                indices = [_indices(row, number, part, len(batch)) for row in rows]
                effects[corruption].append(_effects(patchers[corruption], runs, rows, indices))
                gaps[corruption].append(_numbers(runs.clean_value - runs.corrupted_value))
    return pa.concat_tables(
        _table(name, rows, np.concatenate(effects[name], 1), np.concatenate(gaps[name]))
        for name in corruptions
    )


def fitting_patcher(
    bridge: TransformerBridge, decoder: Decoder | None, runs: PairedRuns
) -> Patcher:
    """The fast way if it is the model's arithmetic on these prompts, else the model's hooks."""
    if decoder is not None and decoder.reproduces(runs[:CHECKED]):
        return SuffixPatcher(decoder)
    return HookedPatcher(bridge)


def _equal_parts(n: int, size: int) -> list[slice]:
    """Consecutive parts of at most `size`, as equal as can be."""
    ends = np.linspace(0, n, -(-n // size) + 1).astype(int).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]


def _table(
    corruption: str,
    rows: Sequence[Row],
    effects: Float[np.ndarray, "row prompt"],
    gaps: Float[np.ndarray, " prompt"],
) -> pa.Table:
    value, std_error = shares(effects, gaps)
    return pa.table(
        {
            "corruption": [corruption] * len(rows),
            "site": [row.site for row in rows],
            "layer": [row.layer for row in rows],
            "head": [row.head for row in rows],
            "position": [row.position.name if row.position else None for row in rows],
            "value": value.astype(np.float32),
            "std_error": std_error.astype(np.float32),
        },
        schema=without_step(PATCHING),
    )


def _numbers(tensor: Float[Tensor, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return tensor.cpu().double().numpy()


def _indices(row: Row, bucket: int, part: slice, n: int) -> Int[np.ndarray, " batch"] | None:
    """`Cell.at` for each of the `n` prompts in a part of a bucket; None if they lack the label."""
    if row.position is None:
        return np.full(n, row.head)
    index = row.position.index[bucket]
    return None if index is None else index[part]


def _effects(
    patcher: Patcher,
    runs: PairedRuns,
    rows: Sequence[Row],
    indices: Sequence[Int[np.ndarray, " batch"] | None],
) -> Float[np.ndarray, "row batch"]:
    """Patched minus corrupted metric of a batch; nan where it lacks the position.

    A label is another token index in every prompt: each index that any prompt needs is patched
    once, in all of them. Before its first difference a prompt cannot change.
    """
    first = runs.first.cpu().numpy()
    cells: dict[Cell, int] = {}
    numbers = np.full((len(rows), len(first)), -1)
    for number, row, index in zip(numbers, rows, indices, strict=True):
        if index is None:
            continue
        counts = (index >= first) if row.position else np.ones(len(first), dtype=bool)
        for at in np.unique(index[counts]).tolist():
            cell = cells.setdefault(Cell(row.site, row.layer, at), len(cells))
            number[counts & (index == at)] = cell
    patched = _numbers(patcher(runs, list(cells)) - runs.corrupted_value)
    effects = np.take_along_axis(patched, np.maximum(numbers, 0), axis=0)
    effects[numbers < 0] = 0.0
    effects[[index is None for index in indices]] = np.nan
    return effects
