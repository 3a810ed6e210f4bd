"""How many prompts fit a pass with gradients: a bound on memory, whatever batch is asked for."""

from transformer_lens.model_bridge import TransformerBridge

_NUMBERS = 2**28
"""How many numbers a batch may leave in the model: 1 GiB in float32."""


def prompts_at_once(bridge: TransformerBridge, length: int, most: int) -> int:
    """How many prompts of a length a method may run together, `most` or fewer.

    A layer leaves some forty numbers of the stream's width for each token, measured at the peak of
    EAP-IG on GPT-2, and the MLP's hidden numbers four times over where it is gated.
    """
    config = bridge.cfg
    hidden = getattr(config, "d_mlp", None) or 4 * config.d_model
    of_token = config.n_layers * (44 * config.d_model + 4 * hidden)
    return max(1, min(most, _NUMBERS // (of_token * length)))


def equal_parts(n: int, most: int) -> int:
    """The size of the fewest parts of about equal size that n things fall into."""
    return -(-n // max(1, -(-n // most)))
