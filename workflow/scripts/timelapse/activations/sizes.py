"""How large activations are, from a model's shape: known before anything runs."""

from collections.abc import Iterable, Sequence

import torch
from transformer_lens.config import TransformerBridgeConfig

from timelapse.activations.source import Need
from timelapse.models import hooks
from timelapse.models.prompts import Prompts


def bytes_needed(
    needs: Iterable[Need],
    config: TransformerBridgeConfig,
    prompts: Sequence[Prompts],
    dtype: torch.dtype,
) -> int:
    """Bytes of the needed activations of some prompts and all their corrupted forms."""
    numbers = 0
    for need in needs:
        for bucket in prompts:
            sides = 1 if need.side == "clean" else len(bucket.corrupted)
            numbers += sides * len(bucket) * prompt_numbers(need, config, bucket.tokens.shape[1])
    return numbers * dtype.itemsize


def prompt_numbers(need: Need, config: TransformerBridgeConfig, length: int) -> int:
    """Numbers in an activation of one prompt of `length` tokens."""
    positions = length if need.where == "all" else 1
    return positions * _width(need.hook, config, length)


def _width(hook: str, config: TransformerBridgeConfig, length: int) -> int:
    """Numbers at one position, of all heads together.

    Raises:
        ValueError: the hook is not known here.
    """
    heads, kv_heads = config.n_heads, config.n_key_value_heads or config.n_heads
    if hook == hooks.LOGITS:
        return config.d_vocab
    match hook.rpartition(".")[2]:
        case "hook_scale":
            return 1
        case "hook_q" | "hook_z" | "hook_rot_q":
            return heads * config.d_head
        case "hook_k" | "hook_v" | "hook_rot_k":
            return kv_heads * config.d_head
        case "hook_pattern" | "hook_attn_scores":
            return heads * length
        case "hook_pre" | "hook_post":
            return config.d_mlp
        case (
            "hook_resid_pre"
            | "hook_resid_mid"
            | "hook_resid_post"
            | "hook_attn_out"
            | "hook_mlp_out"
            | "hook_normalized"
            | "hook_in"
        ):
            return config.d_model
    raise ValueError(f"the size of {hook} is not known: add it to activations/sizes.py")
