"""Where a patch enters the residual stream of the corrupted run, and what the stream is there."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from timelapse.models import hooks
from timelapse.probes.patching.clean_corrupted import Runs
from timelapse.probes.patching.fast_decoder import Decoder
from timelapse.probes.patching.grid import HOOKS, POSITION_SITES, Cell


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


NUMBERS = {"cpu": 2**21, "cuda": 2**27}
"""Numbers in the widest activation (that within an MLP) at a time, by the kind of device.

It bounds the memory; on a CPU what fits its caches is fastest.
"""


class SuffixPatcher:
    """Patches cells of a model that is a `Decoder`. See `probe.Patcher`."""

    def __init__(self, decoder: Decoder, numbers: int | None = None) -> None:
        device = decoder.unembedding.device.type
        self._decoder = decoder
        self._numbers = NUMBERS.get(device, NUMBERS["cpu"]) if numbers is None else numbers

    @torch.no_grad()
    def __call__(self, runs: Runs, cells: Sequence[Cell]) -> Float[Tensor, "cell batch"]:
        """The logit differences of the corrupted prompts with each cell patched."""
        patched = runs.corrupted_measure.repeat(len(cells), 1)
        row = {cell: number for number, cell in enumerate(cells)}
        entrances = Entrances(self._decoder, runs)
        for start, together in self._by_start(runs, cells).items():
            for part in self._parts(together, len(runs.tokens) * (runs.length - start)):
                end = _Ascent(self._decoder, runs, entrances, start).of(part)
                measured = self._decoder.measure(end.stream[:, :, -1], runs.prompts)
                patched[[row[cell] for cell in end.cells]] = measured
        return patched

    def _by_start(self, runs: Runs, cells: Sequence[Cell]) -> dict[int, list[Cell]]:
        """Cells by the first position that they change; those that cannot matter are left out."""
        by_start: dict[int, list[Cell]] = defaultdict(list)
        for cell in sorted(cells, key=lambda cell: (entry_layer(cell), cell)):
            by_position = cell.site in POSITION_SITES
            past_attention = entry_layer(cell) == len(self._decoder.blocks)
            if not (by_position and past_attention and cell.at < runs.length - 1):
                by_start[cell.at if by_position else runs.start].append(cell)
        return by_start

    def _parts(self, cells: list[Cell], tokens: int) -> Iterator[list[Cell]]:
        """Cells in parts that fit the bound, at so many tokens a cell."""
        width = self._decoder.blocks[0].up.weight.shape[1]
        at_once = max(1, self._numbers // (tokens * width))
        for at in range(0, len(cells), at_once):
            yield cells[at : at + at_once]


@dataclass(frozen=True)
class _Group:
    """Patched streams from some position on, or at that position alone."""

    cells: list[Cell]
    stream: Float[Tensor, "cell batch position d_model"]


def _joined(groups: Sequence[_Group]) -> _Group:
    if len(groups) == 1:
        return groups[0]
    cells = [cell for group in groups for cell in group.cells]
    return _Group(cells, torch.cat([group.stream for group in groups]))


@dataclass(frozen=True)
class _Ascent:
    """The way of cells up the layers, all changing the stream from the position `start` on."""

    decoder: Decoder
    runs: Runs
    entrances: Entrances
    start: int

    def of(self, cells: Sequence[Cell]) -> _Group:
        """The stream of every cell after the last layer, at the last position."""
        before: dict[int, list[Cell]] = defaultdict(list)
        within: dict[int, list[Cell]] = defaultdict(list)
        for cell in cells:
            entering = before if cell.site in POSITION_SITES else within
            entering[entry_layer(cell)].append(cell)
        going: list[_Group] = []
        for layer, block in enumerate(self.decoder.blocks):
            if before[layer]:
                going.append(self._at_position(before[layer]))
            middle = [self._attend(layer, group) for group in going]
            middle += self._of_heads(layer, within[layer])
            if middle:
                group = _joined(middle)
                going = [_Group(group.cells, block.after_mlp(group.stream))]
        if at_end := before[len(self.decoder.blocks)]:
            going.append(self._at_position(at_end))
        return _joined(going)

    def _first_read(self, layer: int) -> int:
        """The first position at which it matters what comes after the layer's attention."""
        return self.runs.length - 1 if layer == len(self.decoder.blocks) - 1 else self.start

    def _at_position(self, cells: list[Cell]) -> _Group:
        return _Group(cells, torch.stack([self.entrances.at_position(cell) for cell in cells]))

    def _of_heads(self, layer: int, cells: Sequence[Cell]) -> list[_Group]:
        groups = []
        for site, of_site in groupby(cells, key=lambda cell: cell.site):
            patched = list(of_site)
            heads = [cell.at for cell in patched]
            stream = self.entrances.of_heads(site, layer, heads, self._first_read(layer))
            groups.append(_Group(patched, stream))
        return groups

    def _attend(self, layer: int, group: _Group) -> _Group:
        """From before a layer to between its attention and its MLP."""
        block = self.decoder.blocks[layer]
        first = self._first_read(layer)
        normed = block.ln1(group.stream)
        read = slice(first - self.start, None)
        key, value = (
            self._completed(hook(layer), block.heads(projection, normed), self.start, 0)
            for hook, projection in ((hooks.key, block.key), (hooks.value, block.value))
        )
        query, stream = (
            self._completed(name, own, first, first)
            for name, own in (
                (hooks.query(layer), block.heads(block.query, normed[:, :, read])),
                (hooks.resid_pre(layer), group.stream[:, :, read]),
            )
        )
        z = attention(query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1))
        written = block.out(z.flatten(2)).unflatten(0, group.stream.shape[:2])
        return _Group(group.cells, stream + written)

    def _completed(
        self, name: str, own: Float[Tensor, "cell batch some *rest"], at: int, first: int
    ) -> Float[Tensor, "cell batch position *rest"]:
        """An activation from `first` on: the cells' own at `at`, around it the corrupted run's."""
        recorded = self.runs.corrupted[name].expand(len(own), *self.runs.corrupted[name].shape)
        end = at + own.shape[2]
        return torch.cat([recorded[:, :, first:at], own, recorded[:, :, end:]], dim=2)
