"""Mean scores of every resample of the prompts, which are too many for the memory."""

from collections.abc import Iterator
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Float


class ResampledScores:
    """Mean scores of the resamples at several steps, kept on disk.

    A graph of 30,000 edges has 25 MB of them a step. The file has no name and goes with the object.
    """

    def __init__(self, n_steps: int, n_resamples: int, n_edges: int) -> None:
        self.shape = (n_steps, n_resamples, n_edges)
        self._file = TemporaryFile()  # noqa: SIM115 - it lives as long as the object
        self._scores = np.memmap(self._file, np.float32, "w+", shape=self.shape)

    def put(self, place: int, scores: Float[np.ndarray, "sample edge"]) -> None:
        """Keep those of one step."""
        self._scores[place] = scores

    def part(self, start: int, stop: int) -> Float[np.ndarray, "sample step edge"]:
        """Those of some resamples at all steps."""
        return np.ascontiguousarray(np.swapaxes(self._scores[:, start:stop], 0, 1))


def slices(n: int, bytes_each: int, limit: int) -> Iterator[tuple[int, int]]:
    """Start and stop of parts of `n` resamples of at most `limit` bytes, but at least one each."""
    step = max(1, limit // bytes_each)
    for start in range(0, n, step):
        yield start, min(start + step, n)
