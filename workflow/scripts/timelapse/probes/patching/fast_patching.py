"""Patching of a `Decoder`: each cell goes on from the corrupted run where its patch enters.

A cell changes nothing before its layer and before its position, so that only the rest of the
decoder is computed: the layers above and the positions from its own on, the suffix. Cells that
change the stream from the same position on go up the layers together.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby

import torch
from jaxtyping import Float
from torch import Tensor

from timelapse.models import hooks
from timelapse.probes.patching.fast_decoder import Decoder
from timelapse.probes.patching.grid import HOOKS, POSITION_SITES, Cell
from timelapse.probes.patching.hooked import PairedRuns
from timelapse.probes.patching.suffix_attention import CorruptedAttention

NUMBERS = {"cpu": 2**21, "cuda": 2**27}
"""Numbers in the widest activation at a time, by the kind of device.

It bounds the memory; on a CPU what fits its caches is fastest.
"""


class SuffixPatcher:
    """Patches cells of a model that is a `Decoder`. See `probe.Patcher`."""

    def __init__(self, decoder: Decoder, numbers: int | None = None) -> None:
        """
        Args:
            decoder: the model.
            numbers: numbers in the widest activation at a time; by the device if left out.
        """
        device = decoder.unembedding.device.type
        self._decoder = decoder
        self._numbers = NUMBERS.get(device, NUMBERS["cpu"]) if numbers is None else numbers

    @torch.no_grad()
    def __call__(self, runs: PairedRuns, cells: Sequence[Cell]) -> Float[Tensor, "cell batch"]:
        """The metric of the corrupted prompts with each cell patched."""
        patched = runs.corrupted_value.repeat(len(cells), 1)
        row = {cell: number for number, cell in enumerate(cells)}
        injections = PatchInjections(self._decoder, runs)
        for start, together in self._by_start(runs, injections, cells).items():
            for part in self._parts(together, runs, start):
                end = SuffixPass(self._decoder, runs, injections, start).run(part)
                stream = end.stream[:, :, -1].transpose(0, 1)
                values = self._decoder.value(stream, runs.prompts, runs.metric)
                patched[[row[cell] for cell in end.cells]] = values
        return patched

    def _by_start(
        self, runs: PairedRuns, injections: "PatchInjections", cells: Sequence[Cell]
    ) -> dict[int, list[Cell]]:
        """Cells by the first position that they change; those that cannot matter are left out."""
        by_start: dict[int, list[Cell]] = defaultdict(list)
        for cell in sorted(cells, key=lambda cell: (entry_layer(cell), cell)):
            if cell.site not in POSITION_SITES:
                by_start[runs.start].append(cell)
                continue
            read = cell.at == runs.length - 1 or entry_layer(cell) < len(self._decoder.blocks)
            if read and injections.changes(cell):
                by_start[cell.at].append(cell)
        return by_start

    def _parts(self, cells: list[Cell], runs: PairedRuns, start: int) -> Iterator[list[Cell]]:
        """Cells in parts of which the widest activation fits the bound."""
        block = self._decoder.blocks[0]
        width = max(block.qkv.weight.shape[1], block.up.weight.shape[1])
        widest = (runs.length - start) * width
        if not runs.metric.is_linear:
            widest = max(widest, len(self._decoder.unembedding))
        at_once = max(1, self._numbers // (len(runs.tokens) * widest))
        for at in range(0, len(cells), at_once):
            yield cells[at : at + at_once]


def entry_layer(cell: Cell) -> int:
    """The layer below which a cell changes nothing.

    A patched stream, attention output or MLP output enters before that layer; a patched head
    enters within it, between attention and MLP.
    """
    return cell.layer + (cell.site in ("attn_out", "mlp_out"))


class PatchInjections:
    """The patched streams of one batch where its cells enter the corrupted run."""

    def __init__(self, decoder: Decoder, runs: PairedRuns) -> None:
        self._decoder, self._runs = decoder, runs
        self.attention = cache(self._attention)
        self._changed = cache(self._changed_positions)
        self._written = cache(self._change_of_heads)

    def changes(self, cell: Cell) -> bool:
        """Whether a cell at a position differs between the runs, in any prompt."""
        return self._changed(cell.site, cell.layer)[cell.at]

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
    ) -> Float[Tensor, "batch head suffix d_model"]:
        """The streams after the layer's attention with one head patched, from `first` on."""
        change = self._written(site, layer, first)[:, :, list(heads)]
        block = self._decoder.blocks[layer]
        weight = block.out.weight.unflatten(0, (block.n_heads, -1))[list(heads)]
        written = torch.einsum("bphe,hed->bhpd", change, weight)
        return written + self._middle(layer)[:, None, first:]

    def _attention(self, layer: int) -> CorruptedAttention:
        """The corrupted run's attention in a layer."""
        kinds = (hooks.query, hooks.key, hooks.value)
        return CorruptedAttention.of(*(self._runs.corrupted[kind(layer)] for kind in kinds))

    def _changed_positions(self, site: str, layer: int) -> list[bool]:
        name = HOOKS[site](layer)
        differs = self._runs.clean[name] != self._runs.corrupted[name]
        changed: list[bool] = differs.any(-1).any(0).tolist()
        return changed

    def _change_of_heads(
        self, site: str, layer: int, first: int
    ) -> Float[Tensor, "batch suffix head d_head"]:
        """What all heads write more if one kind of their activations is the clean run's."""
        clean, corrupted = self._runs.clean, self._runs.corrupted
        activation = clean[HOOKS[site](layer)]
        if site == "z":
            patched = activation[:, first:]
        elif site == "q":
            patched = self.attention(layer).with_part(query=activation, first=first)
        elif site == "k":
            patched = self.attention(layer).with_part(key=activation, first=first)
        else:
            value = (clean if site == "v" else corrupted)[hooks.value(layer)]
            pattern = (clean if site == "pattern" else corrupted)[hooks.pattern(layer)]
            patched = torch.einsum("bhqk,bkhe->bqhe", pattern[:, :, first:], value)
        return patched - corrupted[hooks.z(layer)][:, first:]

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


@dataclass(frozen=True)
class PatchedStreams:
    """Streams of cells at the prompts' last positions, or at the one position where they enter."""

    cells: list[Cell]
    stream: Float[Tensor, "batch cell suffix d_model"]

    @classmethod
    def joined(cls, parts: Sequence["PatchedStreams"]) -> "PatchedStreams":
        """Those of all cells in one."""
        if len(parts) == 1:
            return parts[0]
        cells = [cell for part in parts for cell in part.cells]
        return cls(cells, torch.cat([part.stream for part in parts], dim=1))


@dataclass(frozen=True)
class SuffixPass:
    """A pass up the layers for cells that all change the stream from the position `start` on."""

    decoder: Decoder
    runs: PairedRuns
    injections: PatchInjections
    start: int

    def run(self, cells: Sequence[Cell]) -> PatchedStreams:
        """The stream of every cell after the last layer; its last position is the prompts' last."""
        before: dict[int, list[Cell]] = defaultdict(list)
        within: dict[int, list[Cell]] = defaultdict(list)
        for cell in cells:
            entering = before if cell.site in POSITION_SITES else within
            entering[entry_layer(cell)].append(cell)
        streams: PatchedStreams | None = None
        for layer, block in enumerate(self.decoder.blocks):
            middle = []
            if streams:
                middle.append(self._attend(layer, streams))
            if before[layer]:
                middle.append(self._attend_from_entry(layer, before[layer]))
            middle += self._heads(layer, within[layer])
            if middle:
                joined = PatchedStreams.joined(middle)
                streams = PatchedStreams(joined.cells, block.after_mlp(joined.stream))
        ends = [streams] if streams else []
        if at_end := before[len(self.decoder.blocks)]:
            ends.append(self._entering(at_end))
        return PatchedStreams.joined(ends)

    def _first_read(self, layer: int) -> int:
        """The first position at which it matters what comes after the layer's attention."""
        return self.runs.length - 1 if layer == len(self.decoder.blocks) - 1 else self.start

    def _entering(self, cells: list[Cell]) -> PatchedStreams:
        """The streams of cells that enter, at their position alone."""
        streams = [self.injections.at_position(cell) for cell in cells]
        return PatchedStreams(cells, torch.stack(streams, dim=1))

    def _heads(self, layer: int, cells: Sequence[Cell]) -> list[PatchedStreams]:
        """The streams of patched heads between the layer's attention and its MLP."""
        found = []
        for site, of_site in groupby(cells, key=lambda cell: cell.site):
            patched = list(of_site)
            heads = [cell.at for cell in patched]
            stream = self.injections.of_heads(site, layer, heads, self._first_read(layer))
            found.append(PatchedStreams(patched, stream))
        return found

    def _attend_from_entry(self, layer: int, cells: list[Cell]) -> PatchedStreams:
        """From before a layer to between its attention and its MLP, for cells that enter there."""
        block, first = self.decoder.blocks[layer], self._first_read(layer)
        entering = self._entering(cells).stream
        own = block.queries_keys_values(block.ln1(entering[:, :, 0]))
        attention = self.injections.attention(layer)
        z = attention.with_one_position(*own, self.start, first)
        corrupted = self.runs.corrupted[hooks.resid_pre(layer)]
        stream = corrupted[:, None, first:].repeat(1, len(cells), 1, 1)
        if first == self.start:
            stream[:, :, :1] = entering
        return PatchedStreams(cells, stream.add_(block.out(z)))

    def _attend(self, layer: int, streams: PatchedStreams) -> PatchedStreams:
        """From before a layer to between its attention and its MLP, patched from `start` on."""
        block, first = self.decoder.blocks[layer], self._first_read(layer)
        attention = self.injections.attention(layer)
        normed = block.ln1(streams.stream)
        if first == self.start:
            z = attention.with_suffix(*block.queries_keys_values(normed))
        else:
            z = attention.with_suffix_at_end(normed, block)
        stream = block.out(z).add_(streams.stream[:, :, first - self.start :])
        return PatchedStreams(streams.cells, stream)
