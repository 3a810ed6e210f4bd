"""Activations for a sweep: through a study's store, checkpoint by checkpoint."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.cache import ActivationCache
from timelapse.activations.cache_directory import FOLDER, GB, CacheDirectory, check_free_space
from timelapse.activations.cached_source import CachedSource
from timelapse.activations.keys import (
    BlockIndex,
    checkpoint_digest,
    merge_needs,
    rows_in_whole_blocks,
)
from timelapse.activations.source import ActivationSource, ActivationSpec
from timelapse.models.loading import load_tokenizer
from timelapse.models.prompts import Prompts, encode
from timelapse.probes.registry import PROBES
from timelapse.tasks.dataset import read_dataset

if TYPE_CHECKING:
    from timelapse.sweep import Cache

_log = logging.getLogger(__name__)


class CachedActivations:
    """The activations that a probe reads of every checkpoint of a part."""

    def __init__(self, needs: str, kept: Mapping[str, Any], cache: "Cache") -> None:
        """
        Args:
            needs: which activations the probe reads, from a model's config: `module:function`.
            kept: `dtype` and `rows` of the study's `activations`.
            cache: where they are kept.
        """
        self._needs = resolve_name(needs)
        self._dtype: torch.dtype = getattr(torch, kept["dtype"])
        self._rows: int = kept["rows"]
        self._cache = ActivationCache(
            CacheDirectory(cache.folder / FOLDER, round(cache.cap_gb * GB))
        )
        self._blocks: list[Prompts] = []
        self._checkpoints: Sequence[Path] = ()
        self._index: BlockIndex | None = None

    def read_prompts(
        self, dataset: Path, checkpoints: Sequence[Path], n_prompts: int
    ) -> list[Prompts]:
        """The first prompts of a dataset; activations are kept of whole blocks of its rows.

        Args:
            dataset: a dataset's Parquet file.
            checkpoints: whose activations will be read; the first one's tokenizer is used.
            n_prompts: how many of its rows are measured.

        Raises:
            UserError: the dataset or the tokenizer cannot be used.
        """
        rows = read_dataset(dataset).slice(0, rows_in_whole_blocks(n_prompts, self._rows))
        self._checkpoints = list(dict.fromkeys(checkpoints))
        self._blocks = encode(rows, load_tokenizer(checkpoints[0]), dataset)
        return [
            bucket[: int(bucket.rows.searchsorted(n_prompts))]
            for bucket in self._blocks
            if bucket.rows[0] < n_prompts
        ]

    def source(self, bridge: TransformerBridge, checkpoint: Path) -> ActivationSource:
        """The source of a checkpoint's activations, after `read_prompts`.

        Raises:
            UserError: the store has too little room.
        """
        needs = self._needs(bridge.cfg)
        if self._index is None:
            kept = merge_needs([*needs, *all_needs(bridge.cfg)])
            self._index = BlockIndex(
                self._cache, self._blocks, kept, bridge.cfg, self._dtype, self._rows
            )
            announce(self._index, self._checkpoints)
        return CachedSource(self._index, bridge, checkpoint_digest(checkpoint), needs)


def all_needs(config: TransformerBridgeConfig) -> list[ActivationSpec]:
    """The activations that all probes read of a model: whoever computes some keeps all of them.

    The functions are imported by name: what one probe measures does not depend on the others' code.
    """
    functions = [resolve_name(probe.needs) for probe in PROBES.values() if probe.needs]
    return [need for function in functions for need in function(config)]


def announce(index: BlockIndex, checkpoints: Sequence[Path]) -> None:
    """Report how much a job keeps at most, and check that it fits.

    Raises:
        UserError: the disk has too little room.
    """
    directory = index.cache.directory
    if not directory.cap:
        return
    wanted, held, free = (
        index.bytes_needed() * len(checkpoints),
        directory.contents().bytes,
        directory.free(),
    )
    _report(
        f"activations of {len(checkpoints)} checkpoints: at most {wanted / GB:.3g} GB; "
        f"{directory.folder} holds {held / GB:.3g} of {directory.cap / GB:.3g} GB, "
        f"{free / GB:.3g} GB are free on its disk"
    )
    if wanted > directory.cap:
        _report(
            "that is above the cap: what the next probe wants first will be gone; "
            "raise activations.cap_gb"
        )
    if min(wanted, directory.cap - held) > free:
        wanted = sum(index.bytes_missing(checkpoint_digest(folder)) for folder in checkpoints)
    check_free_space(directory, wanted)


def _report(message: str) -> None:
    _log.info(message)
    print(message, file=sys.stderr)
