"""How many prompts fit a pass with gradients: a bound on memory, whatever batch is asked for."""

import torch
from transformer_lens.model_bridge import TransformerBridge

_NUMBERS = 2**28
"""How many numbers a batch may leave in the model on the CPU: 1 GiB in float32."""

_SHARE = 0.5
"""The share of a GPU's memory that they may take there, its weights aside: not of what is free at
the time, which would make the batch, and with it the rounding, depend on what ran before."""


def prompts_at_once(bridge: TransformerBridge, length: int, most: int) -> int:
    """How many prompts of a length a method may run together, `most` or fewer.

    A layer leaves some forty numbers of the stream's width for each token, measured at the peak of
    EAP-IG on GPT-2, and the MLP's hidden numbers four times over where it is gated.
    """
    config = bridge.cfg
    hidden = getattr(config, "d_mlp", None) or 4 * config.d_model
    of_token = config.n_layers * (44 * config.d_model + 4 * hidden)
    return max(1, min(most, numbers_in_memory(bridge) // (of_token * length)))


def numbers_in_memory(bridge: TransformerBridge) -> int:
    """How many numbers the activations of a batch may be: a bound on memory."""
    if torch.device(bridge.cfg.device).type != "cuda":
        return _NUMBERS
    memory = torch.cuda.get_device_properties(bridge.cfg.device).total_memory
    weights = sum(weight.nbytes for weight in bridge.original_model.parameters())
    return max(0, int(_SHARE * (memory - weights))) // bridge.cfg.dtype.itemsize


def equal_parts(n: int, most: int) -> int:
    """The size of the fewest parts of about equal size that n things fall into."""
    return -(-n // max(1, -(-n // most)))
