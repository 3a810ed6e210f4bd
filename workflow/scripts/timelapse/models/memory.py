"""Batches that fit: halved when memory runs out, and the work goes on."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size

from timelapse.errors import UserError

Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class FittingBatch:
    """A job's batch size: half of it whenever memory runs out, and never more again.

    Attributes:
        size: what is run at a time.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, measure: Callable[[int], Result]) -> Result:
        """What `measure` returns for the largest batch size tried that fits.

        Args:
            measure: takes a batch size and starts over when it is called again.

        Raises:
            UserError: one at a time does not fit either.
        """
        while True:
            try:
                return measure(self.size)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                told = str(error).splitlines()[0]
            # Out of the clause above: there the error holds on to the tensors of the failed run.
            clear_device_cache(garbage_collection=True)
            if self.size == 1:
                raise UserError(
                    "config",
                    "compute",
                    f"the memory is too small for a single prompt ({told})",
                    "Use a device with more memory, a smaller model or a dtype of half the size",
                )
            self.size //= 2
            _log.warning("%s: going on with batches of %d", told, self.size)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may mend an error."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)
