"""Models without weights, and the places in them where weights are written by hand.

Every view below points into the model's own parameters, whatever way round an architecture keeps
them: maps go from the left to the right index.
"""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
)

NO_NORM = 1e12
"""An epsilon of the norms so large that they divide by a constant; their weights undo it."""

SPECIAL = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}


class Blank(Protocol):
    """A model of noughts whose norms are the identity for streams of mean zero."""

    model: PreTrainedModel

    def embedding(self) -> Float[Tensor, "token d_model"]: ...
    def unembedding(self) -> Float[Tensor, "token d_model"]: ...
    def query(self, layer: int, head: int) -> Float[Tensor, "d_model d_head"]: ...
    def key(self, layer: int, kv_head: int) -> Float[Tensor, "d_model d_head"]: ...
    def value(self, layer: int, kv_head: int) -> Float[Tensor, "d_model d_head"]: ...
    def output(self, layer: int, head: int) -> Float[Tensor, "d_head d_model"]: ...
    def mlp_in(self, layer: int) -> Float[Tensor, "d_model neuron"]: ...
    def mlp_out(self, layer: int) -> Float[Tensor, "neuron d_model"]: ...


class BlankGPT2:
    """LayerNorm, learned positions, MLP after the attention; neurons have biases."""

    def __init__(self, width: int, n_layers: int, n_heads: int, n_tokens: int, n_places: int):
        self.model = _blank(
            GPT2Config(
                vocab_size=n_tokens,
                n_positions=n_places,
                n_embd=width,
                n_layer=n_layers,
                n_head=n_heads,
                layer_norm_epsilon=NO_NORM,
                tie_word_embeddings=False,
                **SPECIAL,
            )
        )
        self._blocks = self.model.transformer.h
        self._size = width // n_heads

    def embedding(self) -> Tensor:
        return self.model.transformer.wte.weight

    def places(self) -> Float[Tensor, "position d_model"]:
        return self.model.transformer.wpe.weight

    def unembedding(self) -> Tensor:
        return self.model.lm_head.weight

    def query(self, layer: int, head: int) -> Tensor:
        return self._projection(layer, 0, head)

    def key(self, layer: int, kv_head: int) -> Tensor:
        return self._projection(layer, 1, kv_head)

    def value(self, layer: int, kv_head: int) -> Tensor:
        return self._projection(layer, 2, kv_head)

    def _projection(self, layer: int, which: int, head: int) -> Tensor:
        weight = self._blocks[layer].attn.c_attn.weight
        return weight.chunk(3, 1)[which].split(self._size, 1)[head]

    def output(self, layer: int, head: int) -> Tensor:
        return self._blocks[layer].attn.c_proj.weight.split(self._size)[head]

    def mlp_in(self, layer: int) -> Tensor:
        return self._blocks[layer].mlp.c_fc.weight

    def mlp_bias(self, layer: int) -> Float[Tensor, " neuron"]:
        return self._blocks[layer].mlp.c_fc.bias

    def mlp_out(self, layer: int) -> Tensor:
        return self._blocks[layer].mlp.c_proj.weight


class BlankNeoX:
    """Attention and MLP in parallel, rotary positions on the first dimensions of a head only."""

    def __init__(self, width: int, n_layers: int, n_heads: int, n_tokens: int, n_places: int):
        self.model = _blank(
            GPTNeoXConfig(
                vocab_size=n_tokens,
                max_position_embeddings=n_places,
                hidden_size=width,
                intermediate_size=4 * width,
                num_hidden_layers=n_layers,
                num_attention_heads=n_heads,
                rotary_pct=0.25,
                layer_norm_eps=NO_NORM,
                use_parallel_residual=True,
                **SPECIAL,
            )
        )
        self._blocks = self.model.gpt_neox.layers
        self._size = width // n_heads

    def embedding(self) -> Tensor:
        return self.model.gpt_neox.embed_in.weight

    def unembedding(self) -> Tensor:
        return self.model.get_output_embeddings().weight

    def query(self, layer: int, head: int) -> Tensor:
        return self._projection(layer, 0, head)

    def key(self, layer: int, kv_head: int) -> Tensor:
        return self._projection(layer, 1, kv_head)

    def value(self, layer: int, kv_head: int) -> Tensor:
        return self._projection(layer, 2, kv_head)

    def _projection(self, layer: int, which: int, head: int) -> Tensor:
        weight = self._blocks[layer].attention.query_key_value.weight
        return weight.split(self._size)[3 * head + which].T

    def output(self, layer: int, head: int) -> Tensor:
        return self._blocks[layer].attention.dense.weight.split(self._size, 1)[head].T

    def mlp_in(self, layer: int) -> Tensor:
        return self._blocks[layer].mlp.dense_h_to_4h.weight.T

    def mlp_bias(self, layer: int) -> Float[Tensor, " neuron"]:
        return self._blocks[layer].mlp.dense_h_to_4h.bias

    def mlp_out(self, layer: int) -> Tensor:
        return self._blocks[layer].mlp.dense_4h_to_h.weight.T


class BlankLlama:
    """RMSNorm, two heads to a key/value head, rotary positions, neurons with gates and no bias.

    The last dimensions of a head turn by less than 1/1000 of a radian from place to place.
    """

    def __init__(self, width: int, n_layers: int, n_heads: int, n_tokens: int, n_places: int):
        self._size = 2 * width // n_heads
        self.model = _blank(
            LlamaConfig(
                vocab_size=n_tokens,
                max_position_embeddings=n_places,
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=n_layers,
                num_attention_heads=n_heads,
                num_key_value_heads=n_heads // 2,
                head_dim=self._size,
                rms_norm_eps=NO_NORM,
                **SPECIAL,
            )
        )
        self._blocks = self.model.model.layers

    def embedding(self) -> Tensor:
        return self.model.model.embed_tokens.weight

    def unembedding(self) -> Tensor:
        return self.model.lm_head.weight

    def query(self, layer: int, head: int) -> Tensor:
        return self._blocks[layer].self_attn.q_proj.weight.split(self._size)[head].T

    def key(self, layer: int, kv_head: int) -> Tensor:
        return self._blocks[layer].self_attn.k_proj.weight.split(self._size)[kv_head].T

    def value(self, layer: int, kv_head: int) -> Tensor:
        return self._blocks[layer].self_attn.v_proj.weight.split(self._size)[kv_head].T

    def output(self, layer: int, head: int) -> Tensor:
        return self._blocks[layer].self_attn.o_proj.weight.split(self._size, 1)[head].T

    def mlp_in(self, layer: int) -> Tensor:
        return self._blocks[layer].mlp.up_proj.weight.T

    def mlp_gate(self, layer: int) -> Float[Tensor, "d_model neuron"]:
        return self._blocks[layer].mlp.gate_proj.weight.T

    def mlp_out(self, layer: int) -> Tensor:
        return self._blocks[layer].mlp.down_proj.weight.T


def _blank(config: PretrainedConfig) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        is_norm = weight.ndim == 1 and name.endswith("weight")
        weight.fill_(torch.tensor(NO_NORM).sqrt() if is_norm else 0.0)
    return model
