"""A forward pass in which every edge carries its own activation: kept edges live, others ablated.

The model runs on the clean prompts. Whatever a target reads is put together anew: the residual
stream of the ablated world, and for every kept edge the difference between what its source has
written in this very pass and what it writes in the ablated world (interchange interventions on
edges: Goldowsky-Dill et al., "Localizing Model Behavior with Path Patching", 2023; Conmy et al.,
"Towards Automated Circuit Discovery for Mechanistic Interpretability", 2023). That takes one pass
for any number of ablated edges, and one matrix product wherever the stream is read: which edges are
kept, times the stack of differences.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape, Target
from timelapse.circuits.intervention.ablation import Ablation
from timelapse.circuits.intervention.projection import Projection
from timelapse.models import hooks
from timelapse.models.fused_activations import fused_activations
from timelapse.models.metric_values import logit_difference
from timelapse.models.prompts import Prompts

ROWS = 100
"""Pairs of a circuit and a prompt in one forward pass, unless told otherwise."""


@torch.no_grad()
def logit_differences(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    ablation: Ablation,
    kept: Bool[Tensor, "circuit edge"],
    rows: int = ROWS,
) -> Float[Tensor, "circuit batch"]:
    """The logit differences of clean prompts when only the edges of a circuit carry the clean run.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        shape: its graph.
        prompts: one batch, on the model's device.
        ablation: the ablated world of these prompts.
        kept: the circuits; edges in the order of `GraphShape.edges`. Nothing is pruned. Those in
            which nothing reaches the logits take no pass.
        rows: pairs of a circuit and a prompt in one pass, or one circuit if there are more prompts.
            It bounds the memory: beside the model's activations, (sources with a kept edge +
            queries, keys or values of a layer) x rows x positions x d_model numbers.

    Returns:
        One value for every circuit and prompt, in float32 at least.
    """
    n_into_logits = shape.n_upstream(shape.targets[-1])
    found = logit_difference(
        ablation.logits.expand(len(prompts), -1), prompts.answer, prompts.foils
    ).repeat(len(kept), 1)
    living = kept[:, -n_into_logits:].any(1).nonzero().flatten()
    smallest_first = living[kept[living].sum(1).argsort()]
    at_once = max(1, rows // len(prompts))
    for first in range(0, len(smallest_first), at_once):
        circuits = smallest_first[first : first + at_once]
        found[circuits] = _Pass(bridge, shape, prompts, ablation, kept[circuits]).run()
    return found


_ALL, _END = slice(None), slice(-1, None)


@dataclass(frozen=True)
class _Reading:
    """Targets that read at one place.

    Attributes:
        fed: those that keep an edge in some circuit.
        kept: which edges these keep, from sources in use that have written by then.
        cut: those that keep none, but whose readers' outputs are in use.
    """

    fed: list[int]
    kept: Float[Tensor, "circuit fed source"]
    cut: list[int]


class _Pass:
    """One forward pass for some circuits, which stand one after the other along the batch.

    The differences of sources without a kept edge are not computed; what only they depend on is
    left as it is.
    """

    def __init__(
        self,
        bridge: TransformerBridge,
        shape: GraphShape,
        prompts: Prompts,
        ablation: Ablation,
        kept: Bool[Tensor, "circuit edge"],
    ) -> None:
        self._bridge, self._shape, self._prompts, self._ablation = bridge, shape, prompts, ablation
        n_upstream = [shape.n_upstream(target) for target in shape.targets]
        by_target = kept.cpu().split(n_upstream, dim=1)
        self._kept = dict(zip(shape.targets, by_target, strict=True))
        in_use = torch.zeros(len(shape.sources), dtype=torch.bool)
        for edges in by_target:
            in_use[: edges.shape[1]] |= edges.any(0)
        self._in_use = in_use.nonzero().flatten().tolist()
        entering = ablation[hooks.resid_pre(0)]
        self._differences = entering.new_empty(
            len(kept), len(self._in_use), len(prompts), *entering.shape[1:]
        )

    def run(self) -> Float[Tensor, "circuit batch"]:
        """Run the model and measure."""
        n = self._differences.shape[0]
        prompts, prefix = self._prompts.repeated(n), self._ablation.prefix.repeated(n)
        with fused_activations(self._bridge), self._bridge.hooks(fwd_hooks=self._hooks()):
            logits = prefix.run(self._bridge, prompts.tokens)[:, -1]
        return logit_difference(logits, prompts.answer, prompts.foils).unflatten(0, (n, -1))

    def _hooks(self) -> list[hooks.Hook]:
        shape = self._shape
        last = shape.n_layers - 1
        cuts = [hooks.at_end(hooks.z(last)), hooks.at_end(hooks.mlp_norm_in(last))]
        found = [*cuts, self._whole_output(0, hooks.resid_pre(0), _ALL)]
        for layer in range(shape.n_layers):
            first = 1 + layer * (shape.n_heads + 1)
            # What the last layer writes is read at the last position alone.
            positions = _END if layer == last else _ALL
            found += [
                self._projected("q", layer, hooks.query(layer), positions),
                self._projected("k", layer, hooks.key(layer), _ALL),
                self._projected("v", layer, hooks.value(layer), _ALL),
                self._head_outputs(first, layer, positions),
                self._stream(Target("mlp", layer), hooks.mlp_norm_in(layer), positions),
                self._whole_output(first + shape.n_heads, hooks.mlp_out(layer), positions),
            ]
        found.append(self._stream(Target("logits"), hooks.resid_post(last), _END))
        return [hook for hook in found if hook]

    def _whole_output(self, source: int, name: str, positions: slice) -> hooks.Hook | None:
        """Take the difference of a source whose output passes the hook."""
        if source not in self._in_use:
            return None
        difference = self._differences[:, self._in_use.index(source), :, positions]

        def take(activation: Tensor, hook: Any) -> None:
            written = self._by_circuit(activation)[:, :, positions]
            torch.sub(written, self._ablation[name][:, positions], out=difference)

        return name, take

    def _head_outputs(self, first: int, layer: int, positions: slice) -> hooks.Hook | None:
        """Take the differences of heads: of their z, through the output projection."""
        heads = [head for head in range(self._shape.n_heads) if first + head in self._in_use]
        if not heads:
            return None
        slot = self._in_use.index(first + heads[0])
        differences = self._differences[:, slot : slot + len(heads), :, positions]
        name = hooks.z(layer)

        def take(activation: Tensor, hook: Any) -> None:
            z = self._by_circuit(activation)[:, :, positions] - self._ablation[name][:, positions]
            weight = self._bridge.blocks[layer].attn.W_O.detach()[heads].to(z.dtype)
            by_head = z[..., heads, :].permute(3, 0, 1, 2, 4)
            written = (by_head.flatten(1, 3) @ weight).unflatten(1, by_head.shape[1:4])
            differences.copy_(written.transpose(0, 1))

        return name, take

    def _projected(
        self, kind: Literal["q", "k", "v"], layer: int, name: str, positions: slice
    ) -> hooks.Hook | None:
        """Replace queries, keys or values by those of the heads' own streams."""
        n_heads = self._shape.n_heads if kind == "q" else self._shape.n_kv_heads
        reading = self._reading([Target(kind, layer, head) for head in range(n_heads)])
        if reading is None:
            return None
        stream = hooks.resid_pre(layer)

        def project(activation: Tensor, hook: Any) -> Tensor:
            replaced = activation.clone()
            part = self._by_circuit(replaced)[:, :, positions]
            for heads, streams in (
                (reading.fed, lambda: self._fed(reading, stream, positions).transpose(0, 1)),
                (reading.cut, lambda: self._ablation[stream][None, None, :, positions]),
            ):
                if heads:
                    projection = Projection.of(
                        self._bridge, layer, kind, heads, self._differences.dtype
                    )
                    projected = projection(streams()).permute(1, 2, 3, 0, 4)
                    part[..., heads, :] = projected.to(activation.dtype)
            return replaced

        return name, project

    def _stream(self, target: Target, name: str, positions: slice) -> hooks.Hook | None:
        """Replace the stream before a norm that only one target reads through."""
        reading = self._reading([target])
        if reading is None:
            return None

        def put_together(activation: Tensor, hook: Any) -> Tensor:
            replaced = activation.clone()
            part = self._by_circuit(replaced)[:, :, positions]
            if reading.fed:
                part.copy_(self._fed(reading, name, positions)[:, 0])
            else:
                part.copy_(self._ablation[name][:, positions])
            return replaced

        return name, put_together

    def _reading(self, targets: Sequence[Target]) -> _Reading | None:
        """Which of the targets need another input than the model gives them."""
        written = bisect_left(self._in_use, self._shape.n_upstream(targets[0]))
        kept = torch.stack([self._kept[target] for target in targets], dim=1)
        fed = kept.any(0).any(1).tolist()
        cut = [
            number
            for number, target in enumerate(targets)
            if not fed[number] and self._matters(target)
        ]
        chosen = [number for number, is_fed in enumerate(fed) if is_fed]
        if not chosen and not cut:
            return None
        edges = kept[:, chosen][:, :, self._in_use[:written]]
        return _Reading(chosen, edges.to(self._differences), cut)

    def _matters(self, target: Target) -> bool:
        """Whether the output of one of the target's readers is in use."""
        in_use = {self._shape.sources[source] for source in self._in_use}
        return not in_use.isdisjoint(self._shape.readers(target))

    def _fed(
        self, reading: _Reading, stream: str, positions: slice
    ) -> Float[Tensor, "circuit fed batch position d_model"]:
        """What the targets read: the ablated stream and the differences over kept edges."""
        differences = self._differences[:, : reading.kept.shape[2], :, positions]
        summed = torch.bmm(reading.kept, differences.flatten(2))
        return summed.unflatten(2, differences.shape[2:]) + self._ablation[stream][:, positions]

    def _by_circuit(
        self, activation: Float[Tensor, "row position *rest"]
    ) -> Float[Tensor, "circuit batch position *rest"]:
        return activation.unflatten(0, (self._differences.shape[0], -1))
