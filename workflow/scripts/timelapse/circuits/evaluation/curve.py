"""A curve of faithfulness over the sizes of circuits, and how large a circuit must be.

Stage: circuits. Free of torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from timelapse.circuits.evaluation.recovery import Replicated

REFINED = 8
"""Further sizes between the largest that does not suffice and the smallest that does."""


@dataclass(frozen=True)
class Curve:
    """Circuits of one ranking, the smallest first.

    Attributes:
        sizes: how many edges were chosen before pruning.
        circuits: the circuits.
        shares: what each recovers of the logit difference.
    """

    sizes: Sequence[int]
    circuits: Bool[np.ndarray, "size edge"]
    shares: Replicated

    def joined(self, other: "Curve") -> "Curve":
        """Both curves in one."""
        sizes = [*self.sizes, *other.sizes]
        order = np.argsort(sizes, kind="stable")
        return Curve(
            [sizes[place] for place in order],
            np.concatenate([self.circuits, other.circuits])[order],
            Replicated.of(
                lambda *both: np.concatenate(both, axis=-1)[..., order], self.shares, other.shares
            ),
        )

    def between(self, thresholds: Sequence[float]) -> list[int]:
        """Sizes to look at next: below the first size that reaches each threshold.

        At most `REFINED` for each, in geometric progression from the size before.
        """
        found: set[int] = set()
        for threshold in thresholds:
            place = int(first_reaching(self.shares.value, threshold))
            if place > 0:
                low, high = self.sizes[place - 1 : place + 1]
                steps = np.geomspace(low, high, REFINED + 2)[1:-1]
                found.update(int(size) for size in steps.round() if low < size < high)
        return sorted(found)

    def smallest(self, threshold: float, weights: Float[np.ndarray, "edge"]) -> Replicated:
        """The summed weight of the smallest circuit that reaches a threshold; NaN if none does."""
        summed = np.append(self.circuits @ weights, np.nan)
        return Replicated.of(lambda shares: summed[first_reaching(shares, threshold)], self.shares)


def first_reaching(
    shares: Float[np.ndarray, "*sample size"], threshold: float
) -> Int[np.ndarray, "*sample"]:
    """The place of the first size that reaches a threshold; -1 if none does."""
    reaches = shares >= threshold
    return np.where(reaches.any(-1), reaches.argmax(-1), -1)
