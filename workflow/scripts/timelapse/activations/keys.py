"""Keys of cached activations: digests of everything they are computed from, and of no path.

A dataset's activations are cached in blocks of rows, which all probes share.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig

from timelapse.activations.cache import ActivationCache, bytes_needed
from timelapse.activations.source import ActivationSpec
from timelapse.models.checkpoints import WEIGHTS, digest, verify
from timelapse.models.device import rounding
from timelapse.models.prompts import Prompts
from timelapse.provenance import SCRIPTS, code_digest, fingerprint

_LIBRARIES = ("torch", "transformers", "transformer-lens")
_CODE = (
    SCRIPTS / "timelapse" / "activations" / "source.py",
    SCRIPTS / "timelapse" / "models" / "loading.py",
)
_LEFT_OUT = {
    "_name_or_path",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "transformers_version",
    "use_cache",
}


def checkpoint_digest(folder: Path) -> str:
    """A digest of a model folder's weights and architecture.

    The model that a run starts from and the run's step 0 have the same.

    Raises:
        UserError: a file is damaged.
    """
    verify(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for key in _LEFT_OUT:
        config.pop(key, None)
    weights = [digest(file) for file in sorted(folder.glob(f"*{WEIGHTS}"))]
    return fingerprint([], [config, weights])


def block_key(
    checkpoint: str,
    tokens: Int[Tensor, "batch position"],
    computed: torch.dtype,
    kept: torch.dtype,
    device: str,
) -> str:
    """The key of the activations of some prompts.

    Args:
        checkpoint: the model's `checkpoint_digest`.
        tokens: the prompts.
        computed: dtype of the model.
        kept: dtype of the stored activations.
        device: how it rounds, see `models.device.rounding`.
    """
    values = [checkpoint, tokens.tolist(), str(computed), str(kept), device, _code()]
    return fingerprint([], values)


@cache
def _code() -> list[str]:
    """The code that makes activations: this library's, and the versions of what it calls."""
    return [code_digest(*_CODE), *(f"{library} {version(library)}" for library in _LIBRARIES)]


@dataclass(frozen=True)
class BlockIndex:
    """What is cached of a dataset's prompts, and under which keys.

    A block is what a bucket has of the dataset's rows 0 to `rows` - 1, `rows` to 2 `rows` - 1, ...
    It is run in one forward pass and kept under one key. Probes that cut the prompts differently
    thereby share cache files, and read the same numbers to the last bit.

    Attributes:
        cache: where the activations are kept.
        prompts: whole blocks of the dataset, see `rows_in_whole_blocks`.
        needs: what is kept of every block: the needs of all probes of a study.
        config: the model's shape.
        dtype: of what is kept.
        rows: how many rows of the dataset make a block.
    """

    cache: ActivationCache
    prompts: Sequence[Prompts]
    needs: tuple[ActivationSpec, ...]
    config: TransformerBridgeConfig
    dtype: torch.dtype
    rows: int

    def key(self, checkpoint: str, block: Prompts) -> str:
        """The key of a block's activations.

        Args:
            checkpoint: its digest, see `checkpoint_digest`.
            block: one of the blocks.
        """
        device = rounding(self.config.device)
        return block_key(checkpoint, block.tokens, self.config.dtype, self.dtype, device)

    def blocks_of(self, prompts: Prompts) -> Iterator[tuple[Bool[np.ndarray, " batch"], Prompts]]:
        """The blocks that some prompts lie in.

        Yields:
            Which of the prompts lie in a block, and the block.

        Raises:
            ValueError: they are not prompts of this dataset.
        """
        bucket = self._bucket(int(prompts.rows[0]))
        numbers = prompts.rows // self.rows
        for number in np.unique(numbers):
            here = numbers == number
            block = self._block(bucket, int(number))
            if not np.isin(prompts.rows[here], block.rows).all():
                raise ValueError("the prompts are of several buckets")
            yield here, block

    def bytes_needed(self) -> int:
        """Bytes of all that is kept of one checkpoint."""
        return bytes_needed(self.needs, self.config, self.prompts, self.dtype)

    def bytes_missing(self, checkpoint: str) -> int:
        """Bytes of what is to be kept of one checkpoint and is not in the cache yet.

        Args:
            checkpoint: its digest, see `checkpoint_digest`.
        """
        missing = 0
        for block in self._blocks():
            cached = self.cache.names(self.key(checkpoint, block))
            lacking = [need for need in self.needs if tensor_name(need) not in cached]
            missing += bytes_needed(lacking, self.config, [block], self.dtype)
        return missing

    def _blocks(self) -> Iterator[Prompts]:
        for bucket in self.prompts:
            for number in np.unique(bucket.rows // self.rows):
                yield self._block(bucket, int(number))

    def _bucket(self, row: int) -> Prompts:
        for bucket in self.prompts:
            if row in bucket.rows:
                return bucket
        raise ValueError(f"row {row} is not in the dataset of the index")

    def _block(self, bucket: Prompts, number: int) -> Prompts:
        start, end = np.searchsorted(bucket.rows, [number * self.rows, (number + 1) * self.rows])
        return bucket[start:end]


def tensor_name(need: ActivationSpec) -> str:
    """The name of an activation in a cache file."""
    return f"{need.hook}@{need.where}"


def merge_needs(needs: Iterable[ActivationSpec]) -> tuple[ActivationSpec, ...]:
    """The needs without those that others include, sorted."""
    needs = set(needs)
    return tuple(
        sorted(
            need
            for need in needs
            if need.where == "all" or ActivationSpec(need.hook, "all") not in needs
        )
    )


def rows_in_whole_blocks(n_prompts: int, rows: int) -> int:
    """How many rows the blocks have that the first `n_prompts` rows lie in."""
    return -(-n_prompts // rows) * rows
