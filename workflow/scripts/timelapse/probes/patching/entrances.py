"""Where a patch enters the residual stream of the corrupted run, and what the stream is there."""

from collections.abc import Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from timelapse.models import hooks
from timelapse.probes.patching.cells import HOOKS, Cell
from timelapse.probes.patching.decoder import Decoder
from timelapse.probes.patching.runs import Runs


def entry_layer(cell: Cell) -> int:
    """The layer below which a cell changes nothing.

    A patched stream, attention output or MLP output enters before that layer; a patched head
    enters within it, between attention and MLP.
    """
    return cell.layer + (cell.site in ("attn_out", "mlp_out"))


class Entrances:
    """Patched streams of one batch at the places where its cells enter."""

    def __init__(self, decoder: Decoder, runs: Runs) -> None:
        self._decoder, self._runs = decoder, runs

    def at_position(self, cell: Cell) -> Float[Tensor, "batch 1 d_model"]:
        """The stream before layer `entry_layer(cell)`, at the cell's position."""
        here = slice(cell.at, cell.at + 1)
        if cell.site == "resid_pre":
            return self._runs.clean[HOOKS[cell.site](cell.layer)][:, here]
        if cell.site == "attn_out":
            return self._after_clean_attention[cell.layer][:, here]
        return (
            self._middle(cell.layer)[:, here]
            + self._runs.clean[HOOKS[cell.site](cell.layer)][:, here]
        )

    def of_heads(
        self, site: str, layer: int, heads: Sequence[int], first: int
    ) -> Float[Tensor, "head batch position d_model"]:
        """The streams after the layer's attention with one head patched, from `first` on."""
        z = self._patched_z(site, layer, first)
        change = (z - self._runs.corrupted[hooks.z(layer)][:, first:])[:, :, list(heads)]
        block = self._decoder.blocks[layer]
        weight = block.out.weight.unflatten(0, (block.n_heads, -1))[list(heads)]
        written = torch.einsum("bphe,hed->hbpd", change, weight)
        return self._middle(layer)[:, first:] + written

    def _patched_z(
        self, site: str, layer: int, first: int
    ) -> Float[Tensor, "batch position head d_head"]:
        """What all heads write if one kind of their activations is the clean run's."""
        query, key, value, pattern = (
            self._side(name == site)[hook(layer)]
            for name, hook in zip(
                ("q", "k", "v", "pattern"),
                (hooks.query, hooks.key, hooks.value, hooks.pattern),
                strict=True,
            )
        )
        if site == "z":
            return self._runs.clean[hooks.z(layer)][:, first:]
        if site in ("q", "k"):
            return attention(query[:, first:], key, value)
        return torch.einsum("bhqk,bkhe->bqhe", pattern[:, :, first:], value)

    def _side(self, clean: bool) -> hooks.Recorder:
        return self._runs.clean if clean else self._runs.corrupted

    def _middle(self, layer: int) -> Float[Tensor, "batch position d_model"]:
        """The corrupted stream between attention and MLP."""
        recorded = self._runs.corrupted
        return recorded[hooks.resid_pre(layer)] + recorded[hooks.attn_out(layer)]

    @cached_property
    def _after_clean_attention(self) -> list[Float[Tensor, "batch position d_model"]]:
        """The stream after each layer with the clean attention output put in, at one position.

        An MLP reads each position by itself, so every position can be patched at once.
        """
        clean, corrupted = self._runs.clean, self._runs.corrupted
        return [
            block.after_mlp(corrupted[hooks.resid_pre(layer)] + clean[hooks.attn_out(layer)])
            for layer, block in enumerate(self._decoder.blocks)
        ]


def attention(
    query: Float[Tensor, "batch query head d_head"],
    key: Float[Tensor, "batch key head d_head"],
    value: Float[Tensor, "batch key head d_head"],
) -> Float[Tensor, "batch query head d_head"]:
    """Causal attention of the last positions, the queries, to all positions."""
    n_queries, n_keys = query.shape[1], key.shape[1]
    mask = None
    if n_queries > 1:
        allowed = torch.ones(n_queries, n_keys, dtype=torch.bool, device=query.device)
        mask = allowed.tril(n_keys - n_queries)
    return functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask
    ).transpose(1, 2)
