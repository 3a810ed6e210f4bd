"""Activation functions that transformers spells out in many steps, in one.

Each step reads and writes all of an MLP's hidden numbers: for GPT-2 that takes as long as a quarter
of the MLP's matrix products. One step is the same function to rounding.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from torch.nn import functional
from transformers.activations import NewGELUActivation

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@contextmanager
def fused_activations(bridge: "TransformerBridge") -> Iterator[None]:
    """While it lasts, the tanh form of GELU is one step in every MLP of the model.

    Args:
        bridge: the model, changed in place and restored afterwards.
    """
    modules = [
        module
        for block in bridge.blocks
        for module in block.mlp.modules()
        if type(module) is NewGELUActivation
    ]
    for module in modules:
        module.forward = partial(functional.gelu, approximate="tanh")
    try:
        yield
    finally:
        for module in modules:
            del module.forward
