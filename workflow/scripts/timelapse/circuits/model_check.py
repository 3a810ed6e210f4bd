"""Which models have the graph that circuits live in, and which must be refused."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.gradients import kept_names, tapped_names, target_gradients
from timelapse.circuits.attribution.passes import Passes
from timelapse.circuits.attribution.source_outputs import (
    difference,
    output_differences,
    written_names,
)
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import resample
from timelapse.circuits.intervention.forward import circuit_values
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts

_REMEDY = "Leave the circuit out of this model's study: attribution knows decoders whose attention "
_REMEDY += "and MLP each read the residual stream through a norm of their own and add to it"


def graph_of(
    bridge: TransformerBridge, prompts: Sequence[Prompts], corruption: str, metric: Metric
) -> GraphShape:
    """The shape of a model's graph, once it is known to be the whole graph of the model.

    Args:
        bridge: the model.
        prompts: buckets of prompts, of which one is run.
        corruption: the corruption of the prompts.
        metric: what is measured of the logits.

    Raises:
        UserError: the model has another graph than `GraphShape` describes.
    """
    shape = graph_shape(bridge)
    one = prompts[0][:1].to(bridge.cfg.device)
    check_graph_complete(bridge, shape, one, corruption, metric)
    return shape


def graph_shape(bridge: TransformerBridge) -> GraphShape:
    """The shape of a model's graph.

    Raises:
        UserError: a block has other parts than an attention and an MLP, each behind its norm, or
            layers differ in their heads.
    """
    config = bridge.cfg
    for layer in range(config.n_layers):
        parts = {name for name, _ in bridge.blocks[layer].named_children()}
        for part in ("ln1", "attn", "ln2", "mlp"):
            if part not in parts:
                raise _refusal(bridge, f"block {layer} has no {part}")
    if getattr(config, "per_layer_num_key_value_heads", None):
        raise _refusal(bridge, "its layers have different numbers of key/value heads")
    return GraphShape(
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        n_kv_heads=getattr(config, "n_key_value_heads", None) or config.n_heads,
        parallel=bool(getattr(config, "parallel_attn_mlp", False)),
    )


def check_graph_complete(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    metric: Metric,
) -> None:
    """Check on real prompts that nothing reaches the logits past the graph; a few are enough.

    What the sources write must add up to the residual stream, and the gradients at what the targets
    read to the gradient at the input, which feeds them all. Norms, scales or mixers that the graph
    does not know of break one or the other. And the last position must be what it is when the model
    runs all of every prompt, of which attribution leaves out what it can.

    Raises:
        UserError: a sum is off by more than rounding.
    """
    entry, last = hooks.resid_pre(0), hooks.resid_post(shape.n_layers - 1)
    written = [*written_names(shape), last]
    targets = target_gradients(bridge, shape)
    tapped = tapped_names(targets)
    passes = Passes.of(bridge, prompts, corruption, metric)
    corrupted = passes.corrupted(written)
    clean = passes.differentiable(entry, tapped, [*kept_names(targets), *written])
    stream = clean[last].detach()[:, -1:].to(clean.dtype)
    rounding = 8 * torch.finfo(clean[last].dtype).eps
    outputs = output_differences(bridge, shape, clean, corrupted)
    change = difference(last, clean, corrupted)
    if _apart(outputs[:, :, -1:].sum(0), change[:, -1:], rounding, stream):
        raise _refusal(bridge, "what its heads and MLPs write does not add up to the stream")
    gradients = clean.gradients([entry, *tapped])
    total = gradients[entry].to(clean.dtype)
    summed = torch.zeros_like(total)
    largest = total
    for target in targets:
        target.add(clean, gradients)
        found = target.at_inputs(slice(None), outputs.new_empty(target.size * total.numel()))
        summed[:, -found.shape[2] :] += found.sum(0)
        largest = max(largest, *found, key=torch.linalg.vector_norm)
    if _apart(summed, total, rounding, largest):
        raise _refusal(bridge, "what its heads and MLPs read is not all that depends on the stream")
    plain = Recorder()
    with torch.no_grad(), bridge.hooks(fwd_hooks=[plain.keep(last)]):
        logits = last_logits(bridge, prompts.tokens)
    if _apart(stream, plain[last][:, -1:].to(clean.dtype), rounding, stream):
        raise _refusal(bridge, "its last tokens do not follow from what earlier ones leave to them")
    value = metric.value(logits, prompts.answer, prompts.foils)
    if _apart(clean.values.detach(), value, rounding, logits.to(clean.dtype)):
        raise _refusal(bridge, "its logits are not the unembedding of its final norm alone")


def _apart(
    sum_of_parts: Float[Tensor, "*shape"],
    whole: Float[Tensor, "*shape"],
    rounding: float,
    largest: Float[Tensor, "*other"],
) -> bool:
    """Whether parts miss the whole by over 1 % and more than rounding of the largest explains."""
    norm = torch.linalg.vector_norm
    return bool(norm(sum_of_parts - whole) > 0.01 * norm(whole) + rounding * norm(largest))


def _refusal(bridge: TransformerBridge, problem: str) -> UserError:
    return UserError(bridge.cfg.model_name, "", problem, _REMEDY)


@torch.no_grad()
def check_matches_model(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    metric: Metric,
) -> None:
    """Check on a prompt of every length that with all edges kept the clean run comes out.

    Raises:
        UserError: it does not, by more than rounding: a projection does something else than its
            weight and bias say, or what is read is not the residual stream through the norm.
    """
    everything = torch.ones(1, len(shape.edges), dtype=torch.bool)
    for bucket in prompts:
        one = bucket[:1].to(bridge.cfg.device)
        reference = resample(bridge, shape, one, corruption)
        (found,) = circuit_values(bridge, shape, one, reference, everything, metric)
        logits = last_logits(bridge, one.tokens)
        clean = metric.value(logits, one.answer, one.foils)
        rounding = 64 * torch.finfo(logits.dtype).eps * logits.abs().max()
        if (found - clean).abs().max() > rounding:
            raise UserError(
                bridge.cfg.model_name,
                "",
                "with every edge kept its parts do not make its clean run",
                "Leave circuits out of this model's study",
            )
