"""What a model is trained on: tokens and labels, and the passes that they are cut into."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch.nn import functional
from torch.utils.data import DataLoader

IGNORED = -100
"""Label of a token that carries no loss."""


@dataclass(frozen=True)
class Examples:
    """What a model is trained on.

    Attributes:
        tokens: token ids, padded on the right.
        labels: the same tokens where they carry loss, `IGNORED` elsewhere.
        lengths: tokens of each row without the padding.
        order: the rows in the order of training, steps x batch of them.
    """

    tokens: Int[np.ndarray, "row position"]
    labels: Int[np.ndarray, "row position"]
    lengths: Int[np.ndarray, " row"]
    order: Int[np.ndarray, " example"]

    def batches(self, size: int, start: int) -> Iterator["Batch"]:
        """The examples from number `start` on, `size` at a time, cut to the longest of them."""
        rows = self.order[start:].tolist()
        return iter(DataLoader(rows, batch_size=size, collate_fn=self._batch))

    def _batch(self, rows: list[int]) -> "Batch":
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        labels = torch.from_numpy(self.labels[rows, :longest])
        return Batch(
            tokens=torch.from_numpy(self.tokens[rows, :longest]),
            mask=torch.from_numpy(np.arange(longest) < lengths[:, None]).long(),
            targets=functional.pad(labels, (0, 1), value=IGNORED)[:, 1:],
            n_labels=int((labels != IGNORED).sum()),
        )


@dataclass(frozen=True)
class Batch:
    """Examples of one pass.

    Attributes:
        tokens: token ids.
        mask: 1 at tokens, 0 at padding.
        targets: the token to predict at each position, `IGNORED` where there is no loss.
        n_labels: tokens with a label, by which the loss is divided. A row's first token counts,
            though nothing predicts it, as in transformers' Trainer.
    """

    tokens: Int[torch.Tensor, "example position"]
    mask: Int[torch.Tensor, "example position"]
    targets: Int[torch.Tensor, "example position"]
    n_labels: int

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        tokens, mask, targets = (
            tensor.to(device) for tensor in (self.tokens, self.mask, self.targets)
        )
        return Batch(tokens, mask, targets, self.n_labels)
