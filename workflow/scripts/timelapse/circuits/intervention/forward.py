"""A forward pass in which every edge carries its own activation: kept edges live, others ablated.

The model runs on the clean prompts. Whatever a target reads is put together anew: the reference
stream, and for every kept edge the difference between what its source has written in this very pass
and what it writes in the reference (interchange interventions on edges: Goldowsky-Dill et al.,
"Localizing Model Behavior with Path Patching", 2023; Conmy et al., "Towards Automated Circuit
Discovery for Mechanistic Interpretability", 2023).

Many circuits take one pass, in which each node that is different in any of them is computed once
(`shared_nodes`). So a block runs by itself, for as many rows as there are different nodes in it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.exceptions import StopAtLayerException

from timelapse.circuits.attribution.batching import equal_parts, numbers_in_memory
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import ReferenceActivations
from timelapse.circuits.intervention.block_calls import Projection
from timelapse.circuits.intervention.shared_nodes import AttentionPlan, Plan, Reads, plan_shared
from timelapse.models import hooks
from timelapse.models.loading import fused_activations
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts

_FEWEST_PROMPTS = 8
"""Prompts that a pass should have at least, for the sake of speed: else it has fewer circuits."""

_SHARE = 0.25
"""The share of the memory for activations that the outputs and inputs of nodes may take."""


@torch.no_grad()
def circuit_values(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    reference: ReferenceActivations,
    kept: Bool[Tensor, "circuit edge"],
    metric: Metric,
) -> Float[Tensor, "circuit batch"]:
    """The metric of clean prompts when only the edges of a circuit carry the clean run.

    Args:
        bridge: the model; its weights as they are or in compatibility mode.
        shape: its graph.
        prompts: one batch, on the model's device.
        reference: what all other edges carry for these prompts.
        kept: the circuits; edges in the order of `GraphShape.edges`. Nothing is pruned. Equal ones
            cost no more than one; those in which nothing reaches the logits cost nothing.
        metric: what is measured of the logits.

    Returns:
        One value for every circuit and prompt, in float32 at least.
    """
    out = metric.value(
        reference.logits.expand(len(prompts), -1), prompts.answer, prompts.foils
    ).repeat(len(kept), 1)
    # Circuits of about the same size share most, so that they stay together where not all fit.
    by_size = kept.sum(1).argsort(stable=True)
    for circuits, plan, at_once in _fitting(bridge, shape, reference, kept.cpu(), by_size):
        for start in range(0, len(prompts), equal_parts(len(prompts), at_once)):
            rows = slice(start, start + equal_parts(len(prompts), at_once))
            part = reference.of_rows(rows)
            values = _Pass(bridge, shape, prompts[rows], part, plan, metric).run()
            living = torch.from_numpy(plan.logits_of >= 0)
            which = torch.from_numpy(plan.logits_of)[living].to(values.device)
            out[circuits[living].to(out.device), rows] = values[which]
    return out


def _fitting(
    bridge: TransformerBridge,
    shape: GraphShape,
    reference: ReferenceActivations,
    kept: Bool[Tensor, "circuit edge"],
    circuits: Tensor,
) -> Iterator[tuple[Tensor, Plan, int]]:
    """Circuits that fit a pass together, how to run them, and with how many prompts at a time."""
    plan = plan_shared(kept[circuits.cpu()].numpy(), shape)
    of_prompt = reference[hooks.resid_pre(0)][0].numel()
    numbers = max(1, (plan.n_slots + 2 * plan.most_reads) * of_prompt)
    fit = int(_SHARE * numbers_in_memory(bridge)) // numbers
    if fit < _FEWEST_PROMPTS and len(circuits) > 1:
        half = len(circuits) // 2
        yield from _fitting(bridge, shape, reference, kept, circuits[:half])
        yield from _fitting(bridge, shape, reference, kept, circuits[half:])
    elif plan.n_slots:
        yield circuits.cpu(), plan, max(1, fit)


_ALL, _END = slice(None), slice(-1, None)


class _Pass:
    """One pass for the circuits of a plan.

    `_outputs` holds what the sources write minus what they write in the reference: a block for each
    different output, filled as the pass goes on. In the last layer, whose outputs are read at the
    last position alone, the other positions are left as they are.
    """

    def __init__(
        self,
        bridge: TransformerBridge,
        shape: GraphShape,
        prompts: Prompts,
        reference: ReferenceActivations,
        plan: Plan,
        metric: Metric,
    ) -> None:
        self._bridge, self._shape, self._prompts = bridge, shape, prompts
        self._reference, self._plan, self._metric = reference, plan, metric
        self._dtype = bridge.W_U.dtype
        entering = reference[hooks.resid_pre(0)]
        self._outputs = entering.new_empty(plan.n_slots, len(prompts), *entering.shape[1:])

    def run(self) -> Float[Tensor, "read batch"]:
        """Run all blocks; the metric of every different input of the logits."""
        prompts, last = self._prompts, hooks.resid_post(self._shape.n_layers - 1)
        with fused_activations(self._bridge):
            if self._plan.input_slot is not None:
                entry = hooks.resid_pre(0)
                with self._bridge.hooks(fwd_hooks=[hooks.end_run(entry)]):
                    stream = self._reference.prefix.run(self._bridge, prompts.tokens)
                torch.sub(stream, self._reference[entry], out=self._outputs[self._plan.input_slot])
            for layer in range(self._shape.n_layers):
                self._run_block(layer)
        streams = self._inputs(self._plan.logits, last, _END)[:, :, 0]
        n = len(streams)
        values = self._metric.value_of_stream(
            self._bridge,
            streams.flatten(0, 1).to(self._dtype),
            prompts.answer.repeat(n),
            prompts.foils.repeat(n, 1),
        )
        return values.unflatten(0, (n, -1))

    def _run_block(self, layer: int) -> None:
        """Compute the different nodes of a layer."""
        attention, mlp = self._plan.attention[layer], self._plan.mlp[layer]
        missing = {hooks.z(layer)} if attention.n_rows else set()
        missing |= {hooks.mlp_out(layer)} if len(mlp.reads) else set()
        if not missing:
            return
        # What the last layer writes is read at the last position alone.
        positions = _END if layer == self._shape.n_layers - 1 else _ALL

        def one_row(activation: Tensor) -> Tensor:
            """So that nothing is computed with what follows; nothing follows if all is done."""
            if not missing:
                raise StopAtLayerException(activation)
            return activation[:1, -1:]

        def take_heads(activation: Tensor, hook: Any) -> Tensor:
            if attention.n_rows:
                self._take_heads(layer, attention, activation, positions)
            missing.discard(hooks.z(layer))
            return one_row(activation)

        def put_mlp_inputs(activation: Tensor, hook: Any) -> Tensor | None:
            if not len(mlp.reads):
                return None
            inputs = self._inputs(mlp.reads, hooks.mlp_norm_in(layer), positions)
            return inputs.flatten(0, 1).to(activation.dtype)

        def take_mlp(activation: Tensor, hook: Any) -> Tensor:
            if len(mlp.reads):
                written = activation.unflatten(0, (len(mlp.reads), -1))[:, :, positions]
                written = written - self._reference[hooks.mlp_out(layer)][:, positions]
                self._outputs[:, :, positions].index_copy_(0, self._indices(mlp.slot), written)
            missing.discard(hooks.mlp_out(layer))
            return one_row(activation)

        self._reference.calls.run(
            self._bridge,
            layer,
            self._reference[hooks.resid_pre(layer)][:1].to(self._dtype),
            attention.n_rows * len(self._prompts) or 1,
            self._reference.prefix,
            [
                *self._projected(layer, attention, positions),
                (hooks.z(layer), take_heads),
                (hooks.mlp_norm_in(layer), put_mlp_inputs),
                (hooks.mlp_out(layer), take_mlp),
            ],
        )

    def _inputs(
        self, reads: Reads, stream: str, positions: slice
    ) -> Float[Tensor, "read batch some d_model"]:
        """What targets read: the reference stream and the outputs over kept edges."""
        outputs = self._outputs[:, :, positions]
        reference = self._reference[stream][:, positions]
        inputs = outputs.new_empty(len(reads), *outputs.shape[1:])
        for part in reads.parts:
            into = inputs[part.reads]
            if len(part.slots):
                kept = torch.from_numpy(part.kept).to(outputs)
                sources = self._taken(outputs, part.slots)
                torch.mm(kept, sources.flatten(1), out=into.flatten(1))
                into += reference
            else:
                into[:] = reference
        return inputs

    def _projected(self, layer: int, plan: AttentionPlan, positions: slice) -> list[hooks.Hook]:
        """Queries, keys and values of the heads' own streams, put in by hooks."""
        if not plan.n_rows:
            return []
        stream, dtype = hooks.resid_pre(layer), self._outputs.dtype
        queries = Projection.of(self._bridge, layer, ("q",), dtype)(
            self._inputs(plan.queries, stream, positions), self._indices(plan.queries.target)
        )
        keys_values = Projection.of(self._bridge, layer, ("k", "v"), dtype)(
            self._inputs(plan.keys_values, stream, _ALL), self._indices(plan.keys_values.target)
        )
        n_positions = self._outputs.shape[2]

        def give(
            projected: Float[Tensor, "read batch some d_head"], which: Int[np.ndarray, "row head"]
        ) -> Float[Tensor, "_row position head d_head"]:
            chosen = projected.index_select(0, self._indices(which).flatten())
            rows = chosen.unflatten(0, which.shape).permute(0, 2, 3, 1, 4).flatten(0, 1)
            if rows.shape[1] == n_positions:
                return rows
            whole = rows.new_zeros(len(rows), n_positions, *rows.shape[2:])
            whole[:, -1:] = rows
            return whole

        def put_in(value: Tensor) -> Any:
            return lambda activation, hook: value.to(activation.dtype)

        return [
            (hooks.query(layer), put_in(give(queries, plan.query_of))),
            (hooks.key(layer), put_in(give(keys_values, plan.key_of))),
            (hooks.value(layer), put_in(give(keys_values, plan.value_of))),
        ]

    def _take_heads(
        self,
        layer: int,
        plan: AttentionPlan,
        activation: Float[Tensor, "row position head d_head"],
        positions: slice,
    ) -> None:
        """Take the outputs of heads: the differences of their z, through the output projection."""
        heads = self._indices(plan.head)
        z = activation.unflatten(0, (plan.n_rows, -1))[:, :, positions].permute(0, 3, 1, 2, 4)
        reference = self._reference[hooks.z(layer)][:, positions].permute(2, 0, 1, 3)
        change = z[self._indices(plan.row), heads] - reference[heads]
        weight = self._bridge.blocks[layer].attn.W_O.detach().to(change.dtype)[heads]
        written = torch.bmm(change.flatten(1, 2), weight).unflatten(1, change.shape[1:3])
        self._outputs[:, :, positions].index_copy_(0, self._indices(plan.slot), written)

    def _taken(
        self, outputs: Float[Tensor, " slot *rest"], slots: Int[np.ndarray, " some_slot"]
    ) -> Float[Tensor, " some_slot *rest"]:
        """Some of the outputs; a view if they stand one after the other."""
        if (np.diff(slots) == 1).all():
            return outputs[int(slots[0]) : int(slots[-1]) + 1]
        return outputs.index_select(0, self._indices(slots))

    def _indices(self, numbers: Int[np.ndarray, "*shape"]) -> Int[Tensor, "*shape"]:
        return torch.from_numpy(numbers).to(self._outputs.device)
