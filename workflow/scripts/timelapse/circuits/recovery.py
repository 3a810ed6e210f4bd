"""The share of the metric that a circuit recovers, in the sample of prompts and its resamples.

f = (m(C) - m(0)) / (m(N) - m(0)): m is a mean over prompts, C the circuit, N the whole model, 0 the
model with all its edges ablated. It is a ratio of means, so the bootstrap forms it anew for every
resample of the prompts. Free of torch.
"""

import numpy as np
from jaxtyping import Float

from timelapse.stats import RESAMPLES, bootstrap_interval, resampling_weights


class Recovery:
    """Shares recovered by circuits that were all measured on the same prompts.

    Args:
        clean: the metric of the whole model, prompt by prompt.
        ablated: that with all edges ablated.
        random: draws the resamples of the prompts; they are the same for all circuits.
        resamples: how many.
    """

    def __init__(
        self,
        clean: Float[np.ndarray, "prompt"],
        ablated: Float[np.ndarray, "prompt"],
        random: np.random.Generator,
        resamples: int = RESAMPLES,
    ) -> None:
        self._weights = resampling_weights(len(clean), resamples, random)
        self._ablated, self._gap = ablated, self._weights @ (clean - ablated)

    @property
    def defined(self) -> bool:
        """Whether the 95 % interval of the gap that the shares are of leaves out 0."""
        gap = bootstrap_interval(self._gap)
        return bool(gap.low > 0 or gap.high < 0)

    def of(
        self, circuits: Float[np.ndarray, "*circuit prompt"]
    ) -> Float[np.ndarray, "sample *circuit"]:
        """The share that each circuit recovers; NaN where the whole model recovers nothing.

        Args:
            circuits: the metric of every circuit, prompt by prompt.

        Returns:
            Of the sample itself, row 0, and of its resamples; see `stats`.
        """
        recovered = np.moveaxis((circuits - self._ablated) @ self._weights.T, -1, 0)
        gap = self._gap.reshape(-1, *[1] * (recovered.ndim - 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(gap == 0, np.nan, recovered / gap)
