"""The device that a job's models run on, their dtype, TF32 and the batch size."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from timelapse.errors import UserError

BATCH = 100
"""Prompts in a pass on the CPU: more make it no faster."""

BATCH_MEMORY = 8 * 2**30
"""Bytes of a GPU's memory for every `BATCH` prompts; batches that do not fit are halved."""

WEIGHTS_SHARE = 0.25
"""Share of a GPU's memory that weights may take in float32; the rest is for activations."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """Where models run.

    Attributes:
        name: "cpu" or "cuda".
        dtype: of the models.
        tf32: whether products of float32 matrices are rounded to TF32, which has 10 bits after the
            point instead of 23, on a GPU that is faster with it.
        memory: bytes of a GPU; 0 of the CPU.
    """

    name: Literal["cpu", "cuda"]
    dtype: torch.dtype
    tf32: bool
    memory: int

    @classmethod
    def for_measuring(cls, settings: Mapping[str, Any], folder: Path) -> "Device":
        """The GPU that this process may see, or the CPU; set up as the config says.

        `dtype: auto` is float32 on the CPU, and on a GPU unless the weights would take more than
        a quarter of its memory: then bfloat16, or float16 where the GPU has none. `tf32: auto` is
        no TF32: the measured parts of a logit difference have to sum to it.

        Args:
            settings: `compute` of a study's config.
            folder: a model to be run; its size decides.
        """
        memory, dtype = _memory(), settings["dtype"]
        if dtype == "auto":
            fits = not memory or 4 * parameters(folder) <= WEIGHTS_SHARE * memory
            native = fits or torch.cuda.is_bf16_supported(including_emulation=False)
            dtype = "float32" if fits else "bfloat16" if native else "float16"
        return cls._set_up(getattr(torch, dtype), settings["tf32"] is True, memory)

    @classmethod
    def for_training(cls, tf32: bool | Literal["auto"]) -> "Device":
        """The same, with float32 weights; `auto` is TF32 where the GPU has it.

        Args:
            tf32: `compute.tf32` of a study's config.
        """
        return cls._set_up(torch.float32, tf32 is not False, _memory())

    @classmethod
    def _set_up(cls, dtype: torch.dtype, tf32: bool, memory: int) -> "Device":
        device = cls("cuda" if memory else "cpu", dtype, tf32 and memory > 0, memory)
        torch.set_float32_matmul_precision("high" if device.tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = device.tf32
        _log.info("%s", device.described())
        return device

    def batch(self, wanted: int | Literal["auto"]) -> int:
        """A batch size; `auto` follows the memory."""
        if wanted != "auto":
            return wanted
        return max(BATCH, BATCH * round(self.memory / BATCH_MEMORY))

    def described(self) -> str:
        """The device, dtype and TF32 in a few words, for a log."""
        what = torch.cuda.get_device_name(0) if self.name == "cuda" else "CPU"
        rounding = ", TF32" if self.tf32 else ""
        return f"on {what}, {str(self.dtype).removeprefix('torch.')}{rounding}"


def rounding(device: str | torch.device) -> str:
    """What results depend on in the last bits: the kind of device, of GPU, and TF32."""
    if torch.device(device).type != "cuda":
        return torch.device(device).type
    return f"{torch.cuda.get_device_name(device)}, {torch.get_float32_matmul_precision()}"


def _memory() -> int:
    """Bytes of the GPU that this process may see; 0 without one."""
    if not torch.cuda.is_available():
        return 0
    memory: int = torch.cuda.get_device_properties(0).total_memory
    return memory


def parameters(folder: Path) -> int:
    """How many numbers a model folder's weights are; a file that cannot be read counts none."""
    total = 0
    for file in folder.glob("*.safetensors"):
        try:
            with safe_open(file, "pt") as weights:
                shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        except SafetensorError:
            continue
        total += sum(math.prod(shape) for shape in shapes)
    return total


Result = TypeVar("Result")


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
                reason = str(error).splitlines()[0]
            # Out of the clause above: there the error holds on to the tensors of the failed run.
            from accelerate.utils.memory import clear_device_cache

            clear_device_cache(garbage_collection=True)
            if self.size == 1:
                raise UserError(
                    "config",
                    "compute",
                    f"the memory is too small for a single prompt ({reason})",
                    "Use a device with more memory, a smaller model or a dtype of half the size",
                )
            self.size //= 2
            _log.warning("%s: going on with batches of %d", reason, self.size)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a smaller batch may mend an error."""
    # Here, for importing accelerate takes a second that most jobs need not spend.
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)
