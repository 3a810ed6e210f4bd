"""Random words for roles: different words everywhere, consecutive ones inside a block."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from timelapse.tasks.roles import free_ranks
from timelapse.tasks.spec import TaskSpec


class Words:
    """All filler words of a task; a drawn word is its index here.

    Attributes:
        words: the words, list after list.
        lengths: their lengths in characters.
        column: per role its column in what `draw` returns.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.words = pa.array([word for words in spec.fillers.values() for word in words])
        self.lengths: Int[np.ndarray, " word"] = pc.utf8_length(self.words).to_numpy()
        self.column = {role: column for column, role in enumerate(spec.roles)}
        self._lists = []
        first = 0
        for name, words in spec.fillers.items():
            blocks = [block for block in spec.blocks if block.fillers == name]
            self._lists.append((first, len(words), blocks))
            first += len(words)

    def draw(self, rng: np.random.Generator, rows: int) -> Int[np.ndarray, "row role"]:
        """Draw a word for every role; every arrangement that the spec allows is equally likely."""
        drawn = np.empty((rows, len(self.column)), dtype=np.int64)
        for first, size, blocks in self._lists:
            lengths = np.array([len(block) for block in blocks])
            ranks = distinct(rng, rows, len(blocks), free_ranks(size, lengths.tolist()))
            starts = first + ranks
            if (lengths > 1).any():
                is_before = ranks[:, None, :] < ranks[:, :, None]
                starts = starts + is_before @ (lengths - 1)
            for place, block in enumerate(blocks):
                for step, role in enumerate(block.roles):
                    drawn[:, self.column[role]] = starts[:, place] + step
        return drawn


def distinct(
    rng: np.random.Generator, rows: int, count: int, size: int
) -> Int[np.ndarray, "row count"]:
    """Draw `count` different numbers below `size` in each row, every sequence equally likely.

    The k-th number is drawn below size - k, then moved past the numbers that are taken.
    """
    picks = rng.integers(0, size - np.arange(count), size=(rows, count))
    for place in range(1, count):
        for taken in np.sort(picks[:, :place], axis=1).T:
            picks[:, place] += picks[:, place] >= taken
    return picks
