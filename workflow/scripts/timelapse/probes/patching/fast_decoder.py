"""GPT-2's kind of decoder in a few lines, on a model's own weights.

Hooks, caches and checks cost more than the arithmetic of a small model, and a whole forward pass
computes what a patch cannot change. This is the arithmetic alone, from any layer and position on.
Whether it is the model's arithmetic is never assumed: `Decoder.reproduces` checks it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components import NormalizationBridge

from timelapse.models import hooks
from timelapse.models.norms import Norm
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.clean_corrupted import Runs

_TANH = partial(functional.gelu, approximate="tanh")
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_fast": _TANH,
    "gelu_new": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "relu": functional.relu,
    "silu": functional.silu,
}


@dataclass(frozen=True)
class Affine:
    """x -> x weight + bias."""

    weight: Float[Tensor, "d_in d_out"]
    bias: Float[Tensor, "d_out"] | None

    def __call__(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        return functional.linear(x, self.weight.T, self.bias)


@dataclass(frozen=True)
class LayerNorm:
    """A norm over the last axis."""

    weight: Float[Tensor, "d_model"]
    bias: Float[Tensor, "d_model"] | None
    eps: float

    @classmethod
    def of(cls, component: NormalizationBridge) -> "LayerNorm":
        """The norm of a bridge's component."""
        norm = Norm.of(component, component.weight.dtype)
        return cls(norm.weight, norm.bias, float(component.original_component.eps))

    def __call__(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Block:
    """A layer: attention, then MLP, each reading the stream through its norm and adding to it."""

    ln1: LayerNorm
    query: Affine
    key: Affine
    value: Affine
    out: Affine
    ln2: LayerNorm
    up: Affine
    activation: Callable[[Tensor], Tensor]
    down: Affine
    n_heads: int

    def heads(
        self, projection: Affine, normed: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch head d_head"]:
        """Queries, keys or values of all heads."""
        return projection(normed).unflatten(-1, (self.n_heads, -1))

    def after_mlp(self, stream: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """The residual stream after the MLP from that before it."""
        return stream + self.down(self.activation(self.up(self.ln2(stream))))


@dataclass(frozen=True)
class Decoder:
    """A stack of blocks and the final norm, as views of a bridge's weights."""

    blocks: tuple[Block, ...]
    ln_final: LayerNorm
    unembedding: Float[Tensor, "vocabulary d_model"]
    unembedding_bias: Float[Tensor, "vocabulary"]

    @classmethod
    def of(cls, bridge: TransformerBridge) -> "Decoder | None":
        """The decoder of a model; None if the model is plainly of another kind."""
        config = bridge.cfg
        activation = _ACTIVATIONS.get(str(config.act_fn))
        if (
            config.positional_embedding_type != "standard"
            or config.uses_rms_norm
            or config.gated_mlp
            or config.attn_only
            or config.parallel_attn_mlp
            or (config.n_key_value_heads or config.n_heads) != config.n_heads
            or activation is None
        ):
            return None
        try:
            blocks = tuple(
                Block(
                    ln1=LayerNorm.of(block.ln1),
                    query=_merged(block.attn.W_Q, block.attn.b_Q),
                    key=_merged(block.attn.W_K, block.attn.b_K),
                    value=_merged(block.attn.W_V, block.attn.b_V),
                    out=Affine(block.attn.W_O.flatten(0, 1), block.attn.b_O),
                    ln2=LayerNorm.of(block.ln2),
                    up=Affine(block.mlp.W_in, block.mlp.b_in),
                    activation=activation,
                    down=Affine(block.mlp.W_out, block.mlp.b_out),
                    n_heads=config.n_heads,
                )
                for block in bridge.blocks
            )
            return cls(blocks, LayerNorm.of(bridge.ln_final), bridge.W_U.T, bridge.b_U)
        except AttributeError:
            return None

    def measure(
        self, stream: Float[Tensor, "*cell batch d_model"], prompts: Prompts
    ) -> Float[Tensor, "*cell batch"]:
        """Logit differences from the last position at the end of the stream."""
        dtype = torch.promote_types(stream.dtype, torch.float32)
        answers = self.unembedding[prompts.answer].to(dtype)
        direction = answers - self.unembedding[prompts.foils].to(dtype).mean(1)
        bias = self.unembedding_bias[prompts.answer].to(dtype)
        bias = bias - self.unembedding_bias[prompts.foils].to(dtype).mean(1)
        return (self.ln_final(stream).to(dtype) * direction).sum(-1) + bias

    @torch.no_grad()
    def reproduces(self, runs: Runs) -> bool:
        """Whether these blocks make the recorded corrupted run: every layer, and the measure."""
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            stream = runs.corrupted[hooks.resid_pre(layer)]
            normed = block.ln1(stream)
            query, key, value = (
                block.heads(projection, normed).transpose(1, 2)
                for projection in (block.query, block.key, block.value)
            )
            z = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            made = block.after_mlp(stream + block.out(z.transpose(1, 2).flatten(2)))
            after = hooks.resid_post(last) if layer == last else hooks.resid_pre(layer + 1)
            if not _equal(made, runs.corrupted[after]):
                return False
        found = self.measure(made[:, -1], runs.prompts)
        return _equal(found, runs.corrupted_measure, largest=self.unembedding.norm(dim=1).max())


def _merged(
    weight: Float[Tensor, "head d_model d_head"], bias: Float[Tensor, "head d_head"] | None
) -> Affine:
    merged = weight.permute(1, 0, 2).flatten(1)
    return Affine(merged, None if bias is None else bias.flatten())


def _equal(
    found: Float[Tensor, "*shape"],
    wanted: Float[Tensor, "*shape"],
    largest: Float[Tensor, ""] | None = None,
) -> bool:
    """Whether both are the same but for rounding of numbers as large as `largest` or themselves."""
    scale = wanted.abs().max()
    if largest is not None:
        scale = torch.maximum(scale, largest)
    rounding = min(1000 * torch.finfo(wanted.dtype).eps, 0.02)
    return bool((found - wanted).abs().max() <= rounding * scale)
