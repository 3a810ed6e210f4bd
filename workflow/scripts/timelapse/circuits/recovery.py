"""The share of the logit difference that a circuit recovers, and how sure it is.

f = (m(C) - m(0)) / (m(N) - m(0)): m is a mean over prompts, C the circuit, N the whole model, 0 the
model with all its edges ablated. It is a ratio of means, so its interval comes from a bootstrap
that draws prompts and forms the ratio anew (percentile intervals: Efron & Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13). Free of torch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Replicated:
    """Numbers beside what they are in every bootstrap sample.

    Attributes:
        value: computed from all prompts.
        replicates: computed from the prompts of each sample.
    """

    value: Float[np.ndarray, "*shape"]
    replicates: Float[np.ndarray, "resample *shape"]

    @property
    def low(self) -> Float[np.ndarray, "*shape"]:
        """The lower end of the interval, over the samples that have a value; NaN if `value` is."""
        return self._quantile((1 - LEVEL) / 2)

    @property
    def high(self) -> Float[np.ndarray, "*shape"]:
        """The upper end of the interval, likewise."""
        return self._quantile((1 + LEVEL) / 2)

    @classmethod
    def of(cls, function: Callable[..., np.ndarray], *parts: "Replicated") -> "Replicated":
        """A function of such numbers, along their last axes, computed in every sample as well."""
        return cls(
            function(*(part.value for part in parts)),
            function(*(part.replicates for part in parts)),
        )

    def _quantile(self, share: float) -> Float[np.ndarray, "*shape"]:
        known = np.isfinite(self.replicates).any(0) & np.isfinite(self.value)
        replicates = np.where(known, self.replicates, 0.0)
        quantile = np.quantile if np.isfinite(replicates).all() else np.nanquantile
        return np.where(known, quantile(replicates, share, axis=0), np.nan)


class Recovery:
    """Shares recovered by circuits that were all measured on the same prompts.

    Args:
        clean: logit differences of the whole model, prompt by prompt.
        ablated: those with all edges ablated.
        random: draws the bootstrap samples; they are the same for all circuits.
        resamples: how many.
    """

    def __init__(
        self,
        clean: Float[np.ndarray, "prompt"],
        ablated: Float[np.ndarray, "prompt"],
        random: np.random.Generator,
        resamples: int = RESAMPLES,
    ) -> None:
        n_prompts = len(clean)
        drawn = random.multinomial(n_prompts, np.full(n_prompts, 1 / n_prompts), size=resamples)
        self._weights = np.concatenate([np.ones((1, n_prompts)), drawn])
        self._ablated, self._gap = ablated, self._weights @ (clean - ablated)

    @property
    def defined(self) -> bool:
        """Whether the 95 % interval of the gap that the shares are of leaves out 0."""
        gap = Replicated(self._gap[0], self._gap[1:])
        return bool(gap.low > 0 or gap.high < 0)

    def of(self, circuits: Float[np.ndarray, "*circuit prompt"]) -> Replicated:
        """The share that each circuit recovers; NaN where the whole model recovers nothing."""
        recovered = np.moveaxis((circuits - self._ablated) @ self._weights.T, -1, 0)
        gap = self._gap.reshape(-1, *[1] * (recovered.ndim - 1))
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(gap == 0, np.nan, recovered / gap)
        return Replicated(shares[0], shares[1:])
