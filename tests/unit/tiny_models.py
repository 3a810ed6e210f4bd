"""Tiny models with random weights, and prompts for them."""

from collections.abc import Callable

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    OPTConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from timelapse.models.prompts import Prompts

WORDS = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
SPECIAL = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}

Boot = Callable[[PreTrainedModel], TransformerBridge]


def gpt2_config(**changes: object) -> GPT2Config:
    """A GPT-2 of two layers: LayerNorm, learned positions, biases everywhere."""
    shape = {"vocab_size": 30, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2Config(**{**shape, **SPECIAL, **changes})


GROUPED = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16,
}


def llama_config(**changes: object) -> LlamaConfig:
    """A Llama of two layers: RMSNorm, rotary positions, two heads to a key/value head, no bias."""
    return LlamaConfig(**{**GROUPED, **SPECIAL, **changes})


def qwen2_config(**changes: object) -> Qwen2Config:
    """A Qwen 2 of two layers: as Llama, with biases at queries, keys and values."""
    return Qwen2Config(**{**GROUPED, **SPECIAL, **changes})


def qwen3_config(**changes: object) -> Qwen3Config:
    """A Qwen 3 of two layers: as Llama, with norms of queries and keys and heads of any width."""
    return Qwen3Config(**{**GROUPED, "head_dim": 6, **SPECIAL, **changes})


def opt_config(**changes: object) -> OPTConfig:
    """An OPT of two layers: as GPT-2, with ReLU, and MLPs that read all tokens in one row."""
    shape = {"vocab_size": 30, "hidden_size": 16, "ffn_dim": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "max_position_embeddings": 16, "word_embed_proj_dim": 16}
    return OPTConfig(**{**shape, **heads, **SPECIAL, **changes})


def neox_config(**changes: object) -> GPTNeoXConfig:
    """A GPT-NeoX of two layers: attention and MLP in parallel, partly rotary positions."""
    shape = {"vocab_size": 30, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "max_position_embeddings": 16, "rotary_pct": 0.5}
    return GPTNeoXConfig(**{**shape, **heads, **SPECIAL, **changes})


ARCHITECTURES: dict[str, Callable[..., PretrainedConfig]] = {
    "gpt2": gpt2_config,
    "neox": neox_config,
    "llama": llama_config,
    "qwen2": qwen2_config,
    "qwen3": qwen3_config,
    "opt": opt_config,
}


def random_model(
    config: PretrainedConfig, seed: int = 0, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """The model with weights large enough that every part matters, norms and biases included."""
    model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator).to(dtype)
            is_norm = weight.ndim == 1 and name.endswith("weight")
            weight.copy_(1 + 0.3 * noise if is_norm else 0.3 * noise)
    return model.eval()


def random_prompts(
    n: int, length: int, foils: int = 2, corrupted_from: int = 2, seed: int = 0
) -> Prompts:
    """Prompts of random words; the corrupted ones differ in two words, from `corrupted_from` on."""
    random = np.random.default_rng((seed, n, length))
    tokens = torch.from_numpy(random.integers(2, 30, (n, length)))
    corrupted = tokens.clone()
    for column in (corrupted_from, length - 2):
        corrupted[:, column] = (corrupted[:, column] - 2 + 7) % 28 + 2
    words = torch.from_numpy(np.stack([random.permutation(28) for _ in range(n)]) + 2)
    return Prompts(
        rows=np.arange(n),
        tokens=tokens,
        answer=words[:, 0],
        foils=words[:, 1 : 1 + foils],
        corrupted={"swap": corrupted},
        positions={"end": torch.full((n,), length - 1)},
    )
