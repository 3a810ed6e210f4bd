"""The share of the metric that circuits recover, and its curve over their sizes.

f = (m(C) - m(0)) / (m(N) - m(0)): m is a mean over prompts, C the circuit, N the whole model, 0 the
model with all its edges ablated. It is a ratio of means, so the bootstrap forms it anew for every
resample of the prompts. Free of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.reachability import wiring
from timelapse.stats import RESAMPLES, Interval, bootstrap_interval, resampling_weights


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
        clean: Float[np.ndarray, " prompt"],
        ablated: Float[np.ndarray, " prompt"],
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
    ) -> Float[np.ndarray, " sample *circuit"]:
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


REFINED = 8
"""More sizes between the largest that does not suffice and the smallest that does."""


@dataclass(frozen=True)
class Curve:
    """Circuits of one ranking, the smallest first.

    Attributes:
        sizes: how many edges were chosen before pruning.
        circuits: the circuits.
        shares: what each recovers of the metric, in the sample of prompts and its resamples.
    """

    sizes: Sequence[int]
    circuits: Bool[np.ndarray, "size edge"]
    shares: Float[np.ndarray, "sample size"]

    def joined(self, other: "Curve") -> "Curve":
        """Both curves in one."""
        sizes = [*self.sizes, *other.sizes]
        order = np.argsort(sizes, kind="stable")
        return Curve(
            [sizes[place] for place in order],
            np.concatenate([self.circuits, other.circuits])[order],
            np.concatenate([self.shares, other.shares], axis=-1)[..., order],
        )

    def between(self, thresholds: Sequence[float]) -> list[int]:
        """Sizes to look at next: below the first size that reaches each threshold.

        At most `REFINED` for each, in geometric progression from the size before.
        """
        found: set[int] = set()
        for threshold in thresholds:
            place = int(first_reaching(self.shares[0], threshold))
            if place > 0:
                low, high = self.sizes[place - 1 : place + 1]
                steps = np.geomspace(low, high, REFINED + 2)[1:-1]
                found.update(int(size) for size in steps.round() if low < size < high)
        return sorted(found)

    def smallest(self, threshold: float, weights: Float[np.ndarray, " edge"]) -> Interval:
        """The summed weight of the smallest circuit that reaches a threshold; NaN if none does."""
        summed = np.append(self.circuits @ weights, np.nan)
        sizes = summed[first_reaching(self.shares, threshold)]
        return bootstrap_interval(sizes, bounds=(0.0, float(weights.sum())))


def first_reaching(
    shares: Float[np.ndarray, "*sample size"], threshold: float
) -> Int[np.ndarray, "*sample"]:
    """The place of the first size that reaches a threshold; -1 if none does."""
    reaches = shares >= threshold
    return np.where(reaches.any(-1), reaches.argmax(-1), -1)


FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of all edges at which faithfulness is evaluated (Mueller et al., "MIB: A Mechanistic
Interpretability Benchmark", 2025, section 3)."""


def sizes_at(fractions: Sequence[float], n_edges: int) -> list[int]:
    """How many edges each fraction is: rounded, and at least one."""
    return [max(1, round(fraction * n_edges)) for fraction in fractions]


def widths(shape: GraphShape, d_model: int, d_head: int) -> Float[np.ndarray, " edge"]:
    """How much every edge can carry for a position, as a share of the residual stream's width.

    A head writes `d_head` numbers and reads as many at each of its ports; all other ends are as
    wide as the stream. An edge is as wide as the narrower of its ends.
    """
    graph = wiring(shape)
    written = np.array([d_head if node.kind == "head" else d_model for node in shape.sources])
    read = np.array([d_model if port.head is None else d_head for port in shape.targets])
    return np.minimum(written[graph.source], read[graph.target]) / d_model


def area(
    fractions: Sequence[float], values: Float[np.ndarray, "*shape fraction"]
) -> Float[np.ndarray, "*shape"]:
    """The area under a curve over the fractions of edges: trapezoids, on a linear axis.

    As in the MIB benchmark, whose curves also begin at the smallest fraction and not at zero.
    """
    return np.asarray(np.trapezoid(values, fractions, axis=-1))
