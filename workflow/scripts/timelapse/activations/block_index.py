"""How a dataset's activations are filed: in blocks of rows, whatever each probe reads of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from transformer_lens.config import TransformerBridgeConfig

from timelapse.activations.cache import Store, bytes_needed
from timelapse.activations.keys import block_key
from timelapse.activations.source import CLEAN, Need, kind_of, tokens_of
from timelapse.models.device import rounding
from timelapse.models.prompts import Prompts


@dataclass(frozen=True)
class Filing:
    """What is kept of a dataset's prompts, and under which keys.

    A block is what a bucket has of the dataset's rows 0 to `rows` - 1, `rows` to 2 `rows` - 1, ...
    It is run in one forward pass and kept in one entry a side. Probes that cut the prompts
    differently thereby share entries, and read the same numbers to the last bit.

    Attributes:
        store: where the entries are.
        prompts: whole blocks of the dataset, see `whole`.
        needs: what is kept of every block: the needs of all probes of a study.
        config: the model's shape.
        dtype: of what is kept.
        rows: how many rows of the dataset make a block.
    """

    store: Store
    prompts: Sequence[Prompts]
    needs: tuple[Need, ...]
    config: TransformerBridgeConfig
    dtype: torch.dtype
    rows: int

    def key(self, checkpoint: str, block: Prompts, side: str) -> str:
        """The key of a block of a checkpoint, given by its digest."""
        tokens, device = tokens_of(block, side), rounding(self.config.device)
        return block_key(checkpoint, tokens, self.config.dtype, self.dtype, device)

    def parts(self, prompts: Prompts) -> Iterator[tuple[Bool[np.ndarray, "batch"], Prompts]]:
        """The blocks that some prompts lie in, each with which of the prompts are its own.

        Raises:
            ValueError: they are not prompts of this dataset.
        """
        bucket = self._bucket(int(prompts.rows[0]))
        numbers = prompts.rows // self.rows
        for number in np.unique(numbers):
            here = numbers == number
            block = self._block(bucket, number)
            if not np.isin(prompts.rows[here], block.rows).all():
                raise ValueError("the prompts are of several buckets")
            yield here, block

    def bytes_needed(self) -> int:
        """Bytes of all that is kept of one checkpoint."""
        return bytes_needed(self.needs, self.config, self.prompts, self.dtype)

    def bytes_missing(self, checkpoint: str) -> int:
        """The same without what is in the store already."""
        missing = 0
        for block in self._blocks():
            for side in (CLEAN, *block.corrupted):
                there = self.store.names(self.key(checkpoint, block, side))
                lacking = [
                    Need(need.hook, need.where)
                    for need in self.needs
                    if need.side == kind_of(side) and name_of(need) not in there
                ]
                missing += bytes_needed(lacking, self.config, [block], self.dtype)
        return missing

    def _blocks(self) -> Iterator[Prompts]:
        for bucket in self.prompts:
            for number in np.unique(bucket.rows // self.rows):
                yield self._block(bucket, number)

    def _bucket(self, row: int) -> Prompts:
        for bucket in self.prompts:
            if row in bucket.rows:
                return bucket
        raise ValueError(f"row {row} is not in the filing's dataset")

    def _block(self, bucket: Prompts, number: int) -> Prompts:
        start, end = np.searchsorted(bucket.rows, [number * self.rows, (number + 1) * self.rows])
        return bucket[start:end]


def name_of(need: Need) -> str:
    """The name of an activation in the store; on which side it is lies in the key's tokens."""
    return f"{need.hook}@{need.where}"


def merged(needs: Iterable[Need]) -> tuple[Need, ...]:
    """The needs without those that others include, sorted."""
    needs = set(needs)
    return tuple(
        sorted(
            need
            for need in needs
            if need.where == "all" or Need(need.hook, "all", need.side) not in needs
        )
    )


def whole(n_prompts: int, rows: int) -> int:
    """The rows of the blocks that the first `n_prompts` rows lie in."""
    return -(-n_prompts // rows) * rows
