"""Gradient methods by their definitions, through split inputs and autograd alone: an oracle.

Every edge gets a part of its own, at zero, of which the difference of its source's output is
added to what its target reads; scores are derivatives by these parts at the points of each method.
"""

from collections.abc import Callable, Sequence

import torch
from circuits.oracles import _change, _everything_hooked, _outputs
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape, Source
from timelapse.models.prompts import Prompts

Hooks = Sequence[tuple[str, Callable[..., Tensor]]]
Slopes = Callable[[Source, float], Float[Tensor, "edge batch"]]
INPUT = Source("input")


def plain_scores(
    method: str,
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    steps: int,
) -> Float[Tensor, "edge batch"]:
    """The scores of a gradient method; of "node" one for every source."""
    at = _slopes(bridge, shape, prompts, corruption)
    points = [step / steps for step in range(1, steps + 1)]
    if method == "EAP-IG":
        return torch.stack([at(INPUT, point) for point in points]).mean(0)
    if method == "clean-corrupted":
        return (at(INPUT, 0) + at(INPUT, 1)) / 2
    if method == "EAP-IG-activations":
        by_source = {
            source: torch.stack([at(source, point) for point in points]).mean(0)
            for source in shape.sources
        }
        rows = enumerate(shape.edges)
        return torch.stack([by_source[source][row] for row, (source, _) in rows])
    assert method in ("EAP", "node")
    edges = at(INPUT, 1)
    if method == "EAP":
        return edges
    return torch.stack(
        [
            edges[[row for row, (writer, _) in enumerate(shape.edges) if writer == source]].sum(0)
            for source in shape.sources
        ]
    )


def _slopes(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> Slopes:
    tokens = prompts.tokens, prompts.corrupted[corruption]
    with _everything_hooked(bridge), torch.no_grad():
        clean, corrupted = (_outputs(bridge, some, shape) for some in tokens)
        raw_clean, raw_corrupted = (bridge.run_with_cache(some)[1] for some in tokens)

    def at(source: Source, point: float) -> Float[Tensor, "edge batch"]:
        """The slopes of all edges where a source writes what is so far from corrupted to clean."""
        name = _written_at(source)
        value = torch.lerp(raw_corrupted[name], raw_clean[name], point)

        def replace(activation: Tensor, hook: object) -> Tensor:
            if source.head is None:
                return value
            replaced = activation.clone()
            replaced[:, :, source.head] = value[:, :, source.head]
            return replaced

        parts = {
            edge: torch.zeros(len(prompts), 1, 1, dtype=value.dtype, requires_grad=True)
            for edge in shape.edges
        }
        changes = [
            _change(
                shape,
                target,
                sum(
                    parts[writer, target] * (corrupted[writer] - clean[writer])
                    for writer in shape.upstream(target)
                ),
            )
            for target in shape.targets
        ]
        with _everything_hooked(bridge), bridge.hooks(fwd_hooks=[(name, replace), *changes]):
            logits = bridge(prompts.tokens)[:, -1]
        measure = logits.gather(1, prompts.answer[:, None])[:, 0]
        measure = measure - logits.gather(1, prompts.foils).mean(1)
        found = torch.autograd.grad(
            measure.sum(), list(parts.values()), allow_unused=True, materialize_grads=True
        )
        return torch.stack(found)[:, :, 0, 0]

    return at


def _written_at(source: Source) -> str:
    if source.kind == "input":
        return "blocks.0.hook_resid_pre"
    part = "hook_mlp_out" if source.kind == "mlp" else "attn.hook_z"
    return f"blocks.{source.layer}.{part}"
