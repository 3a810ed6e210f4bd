"""Slow, independent ways to the numbers of attribution: nothing here is shared with the kernel."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis import attribution_patching
from transformer_lens.tools.analysis.attribution_patching import EdgeAttributionConfig, Node

from timelapse.circuits.graph import GraphShape, Source, Target
from timelapse.models.prompts import Prompts

Scores = dict[tuple[str, str], float]
_INPUT = Source("input")
Hook = tuple[str, Callable[..., Tensor]]
OfPrompt = Callable[[Prompts, int], Callable[[Tensor], Tensor]]
"""A metric: of prompts and one of their rows, the function of that row's logits."""


def transformer_lens_scores(
    bridge: TransformerBridge, prompts: Prompts, corruption: str, steps: int = 1
) -> Scores:
    """Mean over prompts of TransformerLens' own edge attribution.

    It points from its corrupted run to its clean one and takes the gradient in the corrupted run:
    our clean prompts go in as its corrupted ones. With more steps than one its gradients, each of
    another input, are averaged for it: the `ig_steps` that it declares it refuses.
    """
    scores: Scores = {}
    bridge.requires_grad_(True)
    for row in range(len(prompts)):
        other = prompts.corrupted[corruption][row : row + 1]
        with _averaged_gradients(bridge, other, steps):
            found = attribution_patching.attribution_patch(
                bridge,
                clean=other,
                corrupt=prompts.tokens[row : row + 1],
                metric_fn=_logit_difference(prompts, row),
                config=EdgeAttributionConfig(granularity="edge"),
            )
        for (writer, reader), score in found.edge_scores.items():
            edge = _name(writer), _name(reader)
            scores[edge] = scores.get(edge, 0.0) + score / len(prompts)
    bridge.requires_grad_(False)
    return scores


@contextmanager
def _averaged_gradients(bridge: TransformerBridge, other: Tensor, steps: int) -> Iterator[None]:
    """Let TransformerLens' gradient cache hold means over points on the way from `other`."""
    once = attribution_patching.cache_activation_and_gradient
    with torch.no_grad():
        _, cache = bridge.run_with_cache(other, names_filter=["blocks.0.hook_resid_pre"])
    begin = cache["blocks.0.hook_resid_pre"]

    def averaged(*inputs: object, compute_gradient: bool = True, **options: object) -> object:
        found = once(*inputs, compute_gradient=compute_gradient, **options)
        if not compute_gradient:
            return found
        gradients = dict(found.gradients)
        for step in range(1, steps):

            def move(activation: Tensor, hook: object, left: float = 1 - step / steps) -> Tensor:
                return activation + left * (begin - activation).detach()

            with bridge.hooks(fwd_hooks=[("blocks.0.hook_resid_pre", move)]):
                more = once(*inputs, **options).gradients
            gradients = {name: gradients[name] + more[name] for name in gradients}
        means = {name: gradient / steps for name, gradient in gradients.items()}
        return attribution_patching.GradientCache(found.activations, means, found.metric)

    with patch.object(attribution_patching, "cache_activation_and_gradient", averaged):
        yield


def _name(node: Node) -> str:
    if node.kind in ("embed", "logits"):
        return "input" if node.kind == "embed" else "logits"
    if node.kind in ("mlp_out", "mlp_in"):
        return f"m{node.layer}"
    head = f"a{node.layer}.h{node.head}"
    return head if node.kind == "attn_head_out" else f"{head}<{node.kind[0]}>"


def intervention_scores(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    point: float = 1.0,
    node: Source = _INPUT,
    where: Tensor | None = None,
    metric: OfPrompt | None = None,
) -> Scores:
    """Mean over prompts of the slope at which the metric changes as an edge is corrupted.

    Every edge is really intervened on: a part of the difference of its source's output is added to
    what its target alone reads. The slopes are the derivatives by these parts, all at zero.

    `node` writes what lies at `point` between what it does in the corrupted (0) and the clean run
    (1). Edges are corrupted at the tokens `where` [batch position]; at all if that is left out.
    """
    with _everything_hooked(bridge):
        clean, corrupted = _both_outputs(bridge, shape, prompts, corruption)
        parts = {edge: torch.zeros((), requires_grad=True) for edge in shape.edges}
        weight = 1 if where is None else where[:, :, None]
        changes = [
            _change(
                shape,
                target,
                sum(
                    parts[source, target] * weight * (corrupted[source] - clean[source])
                    for source in shape.upstream(target)
                ),
            )
            for target in shape.targets
        ]
        between = corrupted[node] + point * (clean[node] - corrupted[node])
        changed = [_written(node, between), *changes]
        differences = _measures(bridge, prompts, changed, metric)
        slopes = torch.autograd.grad(
            differences.mean(), list(parts.values()), materialize_grads=True
        )
    return {
        (source.name, target.name): float(slope)
        for (source, target), slope in zip(parts, slopes, strict=True)
    }


def mean_scores(found: Sequence[Scores]) -> Scores:
    """The mean of scores of the same edges."""
    return {edge: sum(scores[edge] for scores in found) / len(found) for edge in found[0]}


def edge_effects(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> Scores:
    """Exact edge patching: how much the mean logit difference really changes, edge by edge.

    One forward pass for each edge, in which its target alone reads what the source writes in the
    corrupted run; all that comes after it is recomputed.
    """
    effects = {}
    with _everything_hooked(bridge), torch.no_grad():
        clean, corrupted = _both_outputs(bridge, shape, prompts, corruption)
        without = _measures(bridge, prompts, []).mean()
        for source, target in shape.edges:
            change = _change(shape, target, corrupted[source] - clean[source])
            changed = _measures(bridge, prompts, [change]).mean()
            effects[source.name, target.name] = float(changed - without)
    return effects


def node_effects(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> dict[str, float]:
    """Exact node patching: as `edge_effects`, where all read the node's output of that run."""
    effects = {}
    with _everything_hooked(bridge), torch.no_grad():
        _, corrupted = _both_outputs(bridge, shape, prompts, corruption)
        without = _measures(bridge, prompts, []).mean()
        for source in shape.sources:
            changed = _measures(bridge, prompts, [_written(source, corrupted[source])]).mean()
            effects[source.name] = float(changed - without)
    return effects


def _measures(
    bridge: TransformerBridge,
    prompts: Prompts,
    changes: Sequence[Hook],
    metric: OfPrompt | None = None,
) -> Tensor:
    metric = metric or _logit_difference
    with bridge.hooks(fwd_hooks=changes):
        logits = bridge(prompts.tokens)
    rows = range(len(prompts))
    return torch.stack([metric(prompts, row)(logits[row : row + 1]) for row in rows])


@contextmanager
def _everything_hooked(bridge: TransformerBridge) -> Iterator[None]:
    switches = (
        bridge.set_use_attn_result,
        bridge.set_use_split_qkv_input,
        bridge.set_use_hook_mlp_in,
    )
    for switch in switches:
        switch(True)
    try:
        yield
    finally:
        for switch in switches:
            switch(False)


def _outputs(bridge: TransformerBridge, tokens: Tensor, shape: GraphShape) -> dict[Source, Tensor]:
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens)
    outputs = {Source("input"): cache["blocks.0.hook_resid_pre"]}
    for layer in range(shape.n_layers):
        for head in range(shape.n_heads):
            result = cache[f"blocks.{layer}.attn.hook_result"]
            outputs[Source("head", layer, head)] = result[:, :, head]
        outputs[Source("mlp", layer)] = cache[f"blocks.{layer}.hook_mlp_out"]
    return outputs


def _both_outputs(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, corruption: str
) -> tuple[dict[Source, Tensor], dict[Source, Tensor]]:
    both = (prompts.tokens, prompts.corrupted[corruption])
    clean, corrupted = (_outputs(bridge, tokens, shape) for tokens in both)
    return clean, corrupted


def _written(source: Source, output: Tensor) -> Hook:
    """Let a node write something else."""

    def write(activation: Tensor, hook: object) -> Tensor:
        if source.head is None:
            return output
        written = activation.clone()
        written[:, :, source.head] = output
        return written

    if source.kind == "input":
        return "blocks.0.hook_resid_pre", write
    if source.kind == "mlp":
        return f"blocks.{source.layer}.hook_mlp_out", write
    return f"blocks.{source.layer}.attn.hook_result", write


def _change(shape: GraphShape, target: Target, change: Tensor) -> Hook:
    def add(activation: Tensor, hook: object) -> Tensor:
        if target.head is None:
            return activation + change
        heads = torch.zeros(activation.shape[2], 1, dtype=change.dtype)
        heads[target.head] = 1
        return activation + heads * change[:, :, None]

    if target.kind == "logits":
        return f"blocks.{shape.n_layers - 1}.hook_resid_post", add
    if target.kind == "mlp":
        return f"blocks.{target.layer}.hook_mlp_in", add
    return f"blocks.{target.layer}.attn.hook_{target.kind}_input", add


def _logit_difference(prompts: Prompts, row: int) -> Callable[[Tensor], Tensor]:
    answer, foils = prompts.answer[row], prompts.foils[row]
    return lambda logits: logits[0, -1, answer] - logits[0, -1, foils].mean()


def probability_difference(prompts: Prompts, row: int) -> Callable[[Tensor], Tensor]:
    """The probability of the answer minus those of the foils."""
    answer, foils = prompts.answer[row], prompts.foils[row]

    def value(logits: Tensor) -> Tensor:
        probabilities = logits[0, -1].exp() / logits[0, -1].exp().sum()
        return probabilities[answer] - probabilities[foils].sum()

    return value
