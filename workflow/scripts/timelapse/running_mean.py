"""Means over prompts with their standard errors, collected batch by batch."""

import torch
from jaxtyping import Float
from torch import Tensor


class RunningMean:
    """Mean and standard error of several quantities over prompts that arrive in batches.

    Every prompt has the same weight. Sums are kept in float64 on the CPU; batches are merged as in
    Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979), so nothing is lost to cancellation.
    """

    def __init__(self, n_quantities: int) -> None:
        self.count = 0
        self._mean = torch.zeros(n_quantities, dtype=torch.float64)
        self._squares = torch.zeros(n_quantities, dtype=torch.float64)

    def add(self, values: Float[Tensor, "quantity batch"]) -> None:
        """Take in one value of every quantity for each prompt of a batch."""
        values = values.detach().to("cpu", torch.float64)
        added = values.shape[1]
        if not added:
            return
        total = self.count + added
        mean = values.mean(1)
        shift = mean - self._mean
        self._squares += (values - mean[:, None]).square().sum(1)
        self._squares += shift.square() * (self.count * added / total)
        self._mean += shift * (added / total)
        self.count = total

    @property
    def mean(self) -> Float[Tensor, " quantity"]:
        """NaN before the first prompt."""
        return self._mean if self.count else torch.full_like(self._mean, torch.nan)

    @property
    def std_error(self) -> Float[Tensor, " quantity"]:
        """Sample standard deviation over the square root of the count; NaN below two prompts."""
        if self.count < 2:
            return torch.full_like(self._squares, torch.nan)
        return (self._squares / (self.count - 1) / self.count).sqrt()
