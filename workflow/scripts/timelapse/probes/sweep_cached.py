"""A sweep for probes that read activations: through a study's store, checkpoint by checkpoint."""

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.block_index import BlockIndex, merge_needs, rows_in_whole_blocks
from timelapse.activations.cache import ActivationCache
from timelapse.activations.cache_directory import FOLDER, GB, CacheDirectory, check_free_space
from timelapse.activations.cached_source import CachedSource
from timelapse.activations.keys import checkpoint_digest
from timelapse.activations.source import ActivationSpec, Source
from timelapse.models.device import Device, FittingBatch
from timelapse.models.loading import each_bridge
from timelapse.models.prompts import Prompts
from timelapse.probes.sweep import Measured, first_prompts, write_each

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """What a probe reads, and the store that it reads through.

    Attributes:
        needs: the probe's activations for a model's shape.
        probes: names of the study's probes: what they need is computed along.
        cache: where activations are kept.
        dtype: in which dtype.
        rows: rows of the dataset in an entry and in a forward pass.
    """

    needs: Callable[[TransformerBridgeConfig], Sequence[ActivationSpec]]
    probes: tuple[str, ...]
    cache: ActivationCache
    dtype: torch.dtype
    rows: int

    @classmethod
    def of(
        cls,
        needs: Callable[[TransformerBridgeConfig], Sequence[ActivationSpec]],
        kept: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> "Reading":
        """The reading of a probe in a study.

        Args:
            needs: the probe's.
            kept: `dtype` and `rows` of the study's `activations`: what tables stand on.
            config: the study's `store`, `activations` and `probes`: what they do not stand on.
        """
        cap = round(config["activations"]["cap_gb"] * GB)
        return cls(
            needs,
            tuple(config["probes"]),
            ActivationCache(CacheDirectory(Path(config["store"], FOLDER), cap)),
            getattr(torch, kept["dtype"]),
            kept["rows"],
        )

    def block_index(
        self, config: TransformerBridgeConfig, prompts: Sequence[Prompts]
    ) -> BlockIndex:
        """Where the activations of a dataset are cached, for models of a shape."""
        kept = merge_needs([*self.needs(config), *needs_of(self.probes, config)])
        return BlockIndex(self.cache, prompts, kept, config, self.dtype, self.rows)

    def source(self, index: BlockIndex, bridge: TransformerBridge, checkpoint: Path) -> Source:
        """The source of a checkpoint's activations."""
        return CachedSource(index, bridge, checkpoint_digest(checkpoint), self.needs(bridge.cfg))


def sweep_reading(
    reading: Reading,
    probe: Callable[[TransformerBridge, Source, Sequence[Prompts], int], Measured],
    compute: Mapping[str, Any],
    batch: int | Literal["auto"],
    checkpoints: Sequence[Path],
    dataset: Path,
    n_prompts: int,
    tables: Sequence[Path] | Mapping[str, Sequence[Path]],
    title: str,
) -> None:
    """As `sweep.sweep`, for a probe that reads activations: it is given a source of them.

    Raises:
        UserError: the dataset or a checkpoint cannot be used, or the store has too little room.
    """
    blocks = first_prompts(dataset, checkpoints[0], rows_in_whole_blocks(n_prompts, reading.rows))
    prompts = [
        bucket[: int(bucket.rows.searchsorted(n_prompts))]
        for bucket in blocks
        if bucket.rows[0] < n_prompts
    ]

    device = Device.for_measuring(compute, checkpoints[0])
    fitting = FittingBatch(device.batch(batch))

    def measured() -> Iterator[Measured]:
        index = None
        bridges = each_bridge(checkpoints, device.name, device.dtype)
        for checkpoint, bridge in zip(checkpoints, bridges, strict=True):
            if index is None:
                index = reading.block_index(bridge.cfg, blocks)
                announce(index, checkpoints)
            source = reading.source(index, bridge, checkpoint)
            yield fitting.run(partial(probe, bridge, source, prompts))

    write_each(measured(), checkpoints, tables, title)


def announce(index: BlockIndex, checkpoints: Sequence[Path]) -> None:
    """Say how much a job keeps at most, and refuse it if that does not fit.

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
    _say(
        f"activations of {len(checkpoints)} checkpoints: at most {wanted / GB:.3g} GB; "
        f"{directory.folder} holds {held / GB:.3g} of {directory.cap / GB:.3g} GB, "
        f"{free / GB:.3g} GB are free on its disk"
    )
    if wanted > directory.cap:
        _say(
            "that is above the cap: what the next probe wants first will be gone; "
            "raise activations.cap_gb"
        )
    if min(wanted, directory.cap - held) > free:
        wanted = sum(index.bytes_missing(checkpoint_digest(folder)) for folder in checkpoints)
    check_free_space(directory, wanted)


def _say(message: str) -> None:
    _log.info(message)
    print(message, file=sys.stderr)


def needs_of(probes: Iterable[str], config: TransformerBridgeConfig) -> list[ActivationSpec]:
    """The needs of probes that read activations; the others need none.

    Their modules are imported by name: what one probe measures does not stand on the code of the
    others, so its rule must not rerun with them.

    Args:
        probes: names as in a study's `probes:`, which are those of modules in this package.
        config: the model's shape.
    """
    found: list[ActivationSpec] = []
    for probe in probes:
        name = f"timelapse.probes.{probe}"
        if find_spec(name) and (needs := getattr(import_module(name), "needs", None)):
            found.extend(needs(config))
    return found
