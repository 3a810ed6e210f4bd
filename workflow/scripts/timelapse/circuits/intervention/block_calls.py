"""Running one block of a model by itself, for any number of rows.

What a model passes to its blocks besides the stream (masks, rotary positions, caches) differs
between architectures. So the arguments are recorded in a run of the whole model and used again.

Queries, keys and values, each of a stream of its own, are put in by `Projection`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.exceptions import StopAtLayerException
from transformer_lens.model_bridge.generalized_components import JointQKVAttentionBridge
from transformers import Cache, DynamicCache

from timelapse.models.hooks import Hook
from timelapse.models.norms import Norm
from timelapse.models.prefix_cache import Prefix

_CACHE = object()
"""Stands for a cache in recorded arguments: it would hold all activations of the recorded run."""


class BlockCalls:
    """With which arguments a model calls each of its blocks for prompts of one length."""

    def __init__(self) -> None:
        self._arguments: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    @contextmanager
    def recording(self, bridge: TransformerBridge) -> Iterator[None]:
        """While it lasts, calls of blocks are recorded; later ones replace earlier ones."""

        def record(layer: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            stream = args[0] if args else kwargs["hidden_states"]
            kept = {name: value for name, value in kwargs.items() if name != "hidden_states"}
            self._arguments[layer] = _of_one_row((args[1:], kept), len(stream))

        handles = [
            block.register_forward_pre_hook(
                lambda _, args, kwargs, layer=layer: record(layer, args, kwargs), with_kwargs=True
            )
            for layer, block in enumerate(bridge.blocks)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def run(
        self,
        bridge: TransformerBridge,
        layer: int,
        stream: Float[Tensor, "1 position d_model"],
        n_rows: int,
        prefix: Prefix,
        hooked: Sequence[Hook],
    ) -> None:
        """Run a block for its effect on hooks, one of which has to end the run.

        Args:
            bridge: the model.
            layer: which block.
            stream: any residual stream of these positions; hooks are to replace what is read of it.
            n_rows: how many rows queries, keys and values are to have.
            prefix: the keys and values of earlier positions for each prompt; rows are so many
                copies of all prompts, or the first of them.
            hooked: what is done to the block's activations.
        """
        cache = DynamicCache()
        if prefix.length:
            keys, values = prefix.kept[layer]
            times = n_rows // len(keys)
            for_rows = (
                (kept.repeat(times, 1, 1, 1) if times else kept[:n_rows]) for kept in (keys, values)
            )
            cache.update(*for_rows, layer)
        args, kwargs = _with_cache(self._arguments[layer], cache)
        # Where queries say how many rows there are, the model's own, which are replaced, are
        # computed for one row only.
        if type(bridge.blocks[layer].attn) is not JointQKVAttentionBridge:
            stream = stream.expand(n_rows, -1, -1)
        with bridge.hooks(fwd_hooks=[*hooked]):
            try:
                bridge.blocks[layer](stream, *args, **kwargs)
            except StopAtLayerException:
                return
        raise RuntimeError(f"no hook has ended the run of block {layer}")


def _of_one_row(value: Any, n_rows: int) -> Any:
    """Arguments with what is the same for every row kept for one row, which fits any number."""
    if isinstance(value, Tensor):
        is_repeated = (
            value.ndim > 1
            and len(value) == n_rows
            and torch.equal(value, value[:1].expand_as(value))
        )
        return value[:1] if is_repeated else value
    if isinstance(value, tuple):
        return tuple(_of_one_row(part, n_rows) for part in value)
    if isinstance(value, dict):
        return {name: _of_one_row(part, n_rows) for name, part in value.items()}
    return _CACHE if isinstance(value, Cache) else value


def _with_cache(value: Any, cache: Cache) -> Any:
    """Recorded arguments with a cache where there was one."""
    if isinstance(value, tuple):
        return tuple(_with_cache(part, cache) for part in value)
    if isinstance(value, dict):
        return {name: _with_cache(part, cache) for name, part in value.items()}
    return cache if value is _CACHE else value


@dataclass(frozen=True)
class Projection:
    """The norm before an attention and some of its projections.

    What the attention does to the result before it is used (rotary positions, norms of queries and
    keys) comes after the bridge's `hook_q`, `hook_k` and `hook_v`, and is the model's own affair.
    """

    norm: Norm
    weight: Float[Tensor, "target d_model d_head"]
    bias: Float[Tensor, "target d_head"] | None

    @classmethod
    def of(
        cls,
        bridge: TransformerBridge,
        layer: int,
        kinds: Sequence[Literal["q", "k", "v"]],
        dtype: torch.dtype,
    ) -> "Projection":
        """The projections of all heads of a layer, kind by kind; key/value heads if shared."""
        block = bridge.blocks[layer]
        weights = [getattr(block.attn, f"W_{kind.upper()}") for kind in kinds]
        biases = [getattr(block.attn, f"b_{kind.upper()}") for kind in kinds]
        weight = torch.cat([part.detach() for part in weights]).to(dtype)
        bias = None
        if any(part is not None for part in biases):
            bias = torch.cat(
                [
                    weight.new_zeros(len(weights[number]), weight.shape[2])
                    if part is None
                    else part.detach().to(dtype)
                    for number, part in enumerate(biases)
                ]
            )
        return cls(Norm.of(block.ln1, dtype), weight, bias)

    def __call__(
        self,
        streams: Float[Tensor, "read *batch d_model"],
        targets: Int[Tensor, " read"],
    ) -> Float[Tensor, "read *batch d_head"]:
        """Project every stream by the projection of its target."""
        weight = self.weight[targets]
        normed = self.norm(streams).flatten(1, -2)
        # The weights are gathered, not the streams: those are many times as large.
        if self.bias is None:
            projected = torch.bmm(normed, weight)
        else:
            projected = torch.baddbmm(self.bias[targets, None], normed, weight)
        return projected.unflatten(1, streams.shape[1:-1])
