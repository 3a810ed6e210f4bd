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

from timelapse.models import hooks
from timelapse.models.metric import Metric
from timelapse.models.norms import Norm
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.hooked import PairedRuns

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
    bias: Float[Tensor, " d_out"]

    def __call__(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        return functional.linear(x, self.weight.T, self.bias)


@dataclass(frozen=True)
class DecoderBlock:
    """A layer: attention, then MLP, each reading the stream through its norm and adding to it.

    Attributes:
        ln1: the norm before the attention.
        qkv: queries, keys and values of all heads, side by side.
        out: from the outputs of all heads, side by side, to the stream.
        ln2: the norm before the MLP.
        up: into the MLP.
        activation: of the MLP.
        down: out of the MLP.
        n_heads: how many heads there are.
    """

    ln1: Norm
    qkv: Affine
    out: Affine
    ln2: Norm
    up: Affine
    activation: Callable[[Tensor], Tensor]
    down: Affine
    n_heads: int

    @property
    def query(self) -> Affine:
        """The part of `qkv` that makes queries."""
        return self._third(0)

    @property
    def key(self) -> Affine:
        """The part of `qkv` that makes keys."""
        return self._third(1)

    @property
    def value(self) -> Affine:
        """The part of `qkv` that makes values."""
        return self._third(2)

    def queries_keys_values(
        self, normed: Float[Tensor, "*batch d_model"]
    ) -> tuple[
        Float[Tensor, "*batch head d_head"],
        Float[Tensor, "*batch head d_head"],
        Float[Tensor, "*batch head d_head"],
    ]:
        """Queries, keys and values of all heads from the output of `ln1`."""
        query, key, value = self.qkv(normed).unflatten(-1, (3, self.n_heads, -1)).unbind(-3)
        return query, key, value

    def after_mlp(self, stream: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """The residual stream after the MLP from that before it."""
        return self.down(self.activation(self.up(self.ln2(stream)))).add_(stream)

    def _third(self, number: int) -> Affine:
        width = self.qkv.weight.shape[1] // 3
        part = slice(number * width, (number + 1) * width)
        return Affine(self.qkv.weight[:, part], self.qkv.bias[part])


@dataclass(frozen=True)
class Decoder:
    """A stack of blocks and the final norm, on a bridge's weights."""

    blocks: tuple[DecoderBlock, ...]
    ln_final: Norm
    unembedding: Float[Tensor, "vocabulary d_model"]
    unembedding_bias: Float[Tensor, " vocabulary"]

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
        dtype = bridge.W_U.dtype
        try:
            blocks = tuple(
                DecoderBlock(
                    ln1=Norm.of(block.ln1, dtype),
                    qkv=_qkv(block.attn),
                    out=_affine(block.attn.W_O.flatten(0, 1), block.attn.b_O),
                    ln2=Norm.of(block.ln2, dtype),
                    up=_affine(block.mlp.W_in, block.mlp.b_in),
                    activation=activation,
                    down=_affine(block.mlp.W_out, block.mlp.b_out),
                    n_heads=config.n_heads,
                )
                for block in bridge.blocks
            )
            return cls(blocks, Norm.of(bridge.ln_final, dtype), bridge.W_U.T, bridge.b_U)
        except AttributeError:
            return None

    def value(
        self, stream: Float[Tensor, "*cell batch d_model"], prompts: Prompts, metric: Metric
    ) -> Float[Tensor, "*cell batch"]:
        """The metric from the last position at the end of the stream."""
        return metric.value_of_normed(
            self.ln_final(stream),
            self.unembedding,
            self.unembedding_bias,
            prompts.answer,
            prompts.foils,
        )

    @torch.no_grad()
    def reproduces(self, runs: PairedRuns) -> bool:
        """Whether these blocks make the recorded corrupted run: every layer, and the metric."""
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            stream = runs.corrupted[hooks.resid_pre(layer)]
            query, key, value = (
                part.transpose(1, 2) for part in block.queries_keys_values(block.ln1(stream))
            )
            z = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            computed = block.after_mlp(stream + block.out(z.transpose(1, 2).flatten(2)))
            after = hooks.resid_post(last) if layer == last else hooks.resid_pre(layer + 1)
            if not _equal(computed, runs.corrupted[after]):
                return False
        found = self.value(computed[:, -1], runs.prompts, runs.metric)
        return _equal(found, runs.corrupted_value, largest=self.unembedding.norm(dim=1).max())


def _qkv(attention: torch.nn.Module) -> Affine:
    kinds = "QKV"
    weights = [getattr(attention, f"W_{kind}").permute(1, 0, 2).flatten(1) for kind in kinds]
    biases = [getattr(attention, f"b_{kind}") for kind in kinds]
    return _affine(
        torch.cat(weights, dim=1),
        None if biases[0] is None else torch.cat([bias.flatten() for bias in biases]),
    )


def _affine(weight: Float[Tensor, "d_in d_out"], bias: Float[Tensor, " d_out"] | None) -> Affine:
    return Affine(weight, weight.new_zeros(weight.shape[1]) if bias is None else bias)


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
