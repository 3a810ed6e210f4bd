"""Activation patching of every site, layer, position and head: the clean run into the corrupted.

Denoising: the corrupted prompts run with one activation taken from the clean run. The value of a
cell is the share of the clean logit difference that this restores, 0 = corrupted, 1 = clean: the
mean over prompts of (patched - corrupted) over the mean of (clean - corrupted).
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models.prompts import Prompts
from timelapse.probes.patching.clean_corrupted import Runs, run_both
from timelapse.probes.patching.fast_decoder import Decoder
from timelapse.probes.patching.fast_patching import SuffixPatcher
from timelapse.probes.patching.grid import Cell, Row, all_rows, places, shares
from timelapse.probes.patching.hooked import HookedPatcher
from timelapse.tables import PATCHING


@runtime_checkable
class Patcher(Protocol):
    """Runs the corrupted prompts of a batch with one cell patched, for many cells."""

    def __call__(self, runs: Runs, cells: Sequence[Cell]) -> Float[Tensor, "cell batch"]:
        """The logit differences, cell by cell."""


def patching(
    bridge: TransformerBridge, prompts: Sequence[Prompts], corruption: str, batch_size: int
) -> pa.Table:
    """Patch every cell of a model for one corruption.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        prompts: buckets of prompts; every prompt has the same weight.
        corruption: the scheme that corrupts the prompts.
        batch_size: prompts that are patched together.

    Returns:
        `tables.PATCHING` without `step`. Sites by position come at every place of
        `places.places` and have no head; sites by head have no position.

    Raises:
        UserError: a corrupted prompt equals its clean one.
    """
    config = bridge.cfg
    rows = all_rows(
        config.n_layers,
        config.n_heads,
        config.n_key_value_heads or config.n_heads,
        places(prompts, bridge.tokenizer),
    )
    effects, gaps = [], []
    for number, bucket in enumerate(prompts):
        on_device = bucket.to(config.device)
        patcher = patcher_of(bridge, run_both(bridge, on_device[:2], corruption))
        for start in range(0, len(bucket), batch_size):
            part = slice(start, start + batch_size)
            runs = run_both(bridge, on_device[part], corruption)
            indices = [row.indices(number, part, len(runs.tokens)) for row in rows]
            effects.append(_effects(patcher, runs, rows, indices))
            gaps.append(_numbers(runs.clean_measure - runs.corrupted_measure))
    value, std_error = shares(np.concatenate(effects, 1), np.concatenate(gaps))
    return pa.table(
        {
            "corruption": [corruption] * len(rows),
            "site": [row.site for row in rows],
            "layer": [row.layer for row in rows],
            "head": [row.head for row in rows],
            "position": [row.place.name if row.place else None for row in rows],
            "value": value.astype(np.float32),
            "std_error": std_error.astype(np.float32),
        },
        schema=PATCHING.remove(PATCHING.get_field_index("step")),
    )


def patcher_of(bridge: TransformerBridge, runs: Runs) -> Patcher:
    """The fast way if it is the model's arithmetic on these prompts, else the model's hooks."""
    decoder = Decoder.of(bridge)
    if decoder is not None and decoder.reproduces(runs):
        return SuffixPatcher(decoder)
    return HookedPatcher(bridge)


def _numbers(tensor: Tensor) -> Float[np.ndarray, "*shape"]:
    return tensor.cpu().double().numpy()


def _effects(
    patcher: Patcher,
    runs: Runs,
    rows: Sequence[Row],
    indices: Sequence[Int[np.ndarray, "batch"] | None],
) -> Float[np.ndarray, "row batch"]:
    """Patched less corrupted logit difference of a batch; nan where it lacks the position.

    A label is another token index in every prompt: each index that any prompt needs is patched
    once, in all of them. Before its first difference a prompt cannot change.
    """
    first = runs.first.cpu().numpy()
    cells: dict[Cell, int] = {}
    for row, index in zip(rows, indices, strict=True):
        if index is not None:
            for at in np.unique(index if row.place is None else index[index >= first]):
                cells.setdefault(Cell(row.site, row.layer, int(at)), len(cells))
    patched = _numbers(patcher(runs, list(cells)) - runs.corrupted_measure)
    effects = np.full((len(rows), len(first)), np.nan)
    for effect, row, index in zip(effects, rows, indices, strict=True):
        if index is None:
            continue
        effect[:] = 0.0
        for prompt in np.flatnonzero((index >= first) | (row.place is None)):
            effect[prompt] = patched[cells[Cell(row.site, row.layer, int(index[prompt]))], prompt]
    return effects
