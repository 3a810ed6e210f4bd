"""Heads moved between checkpoints: which of them brings what fine-tuning has taught.

Cross-model activation patching (Prakash et al., "Fine-Tuning Enhances Existing Mechanisms", 2024,
section 5): on clean prompts, what one head of a donor checkpoint adds to the residual stream takes
the place of what the same head of the host adds.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.cross_checkpoint import EvaluationSite, comparison_rows
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.size_curve import Recovery
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.seeds import generator
from timelapse.stats import bootstrap_interval

TRANSPLANT = "head_transplant"


def transplants(
    host: TransformerBridge,
    donor: TransformerBridge,
    donor_step: int,
    shape: GraphShape,
    site: EvaluationSite,
    batch_size: int,
) -> pa.Table:
    """What every head of a donor does in a host.

    Args:
        host: the checkpoint at `site`.
        donor: another checkpoint of the same run.
        donor_step: which.
        shape: the graph of both.
        site: the host's step, its task, prompts and metric; corruptions do not matter.
        batch_size: pairs of a head and a prompt in one pass. It bounds the memory.

    Returns:
        `tables.COMPARISON`: a row for each head, `step_a` the host and `step_b` the donor, with
        (patched - host) / (donor - host), ratios of means of the metric, and its interval from
        a bootstrap over prompts; null if host and donor do the same, that is if the 95 %
        interval of their difference holds 0. There is no null value.
    """
    batches = [
        batch for bucket in site.prompts for batch in bucket.to(host.cfg.device).batches(batch_size)
    ]
    values = [_measured(host, donor, shape, batch, site.metric, batch_size) for batch in batches]
    at_host, at_donor, *patched = np.concatenate(values, axis=1)
    random = generator(site.seed, "transfer", site.task)
    recovery = Recovery(at_donor, at_host, random, site.resamples)
    samples = recovery.of(np.stack(patched))
    shares = bootstrap_interval(samples if recovery.defined else np.full_like(samples, np.nan))
    heads = [source.name for source in shape.sources if source.kind == "head"]
    n = len(heads)
    return comparison_rows(
        step_a=[site.step] * n,
        step_b=[donor_step] * n,
        task_a=[site.task] * n,
        task_b=[site.task] * n,
        measure=[f"{TRANSPLANT}:{head}" for head in heads],
        value=shares.value,
        ci_low=shares.low,
        ci_high=shares.high,
        null_mean=np.full(n, np.nan),
    )


@torch.no_grad()
def _measured(
    host: TransformerBridge,
    donor: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    metric: Metric,
    rows: int,
) -> Float[np.ndarray, "run batch"]:
    """The metric of host and donor, and of the host with each head, layer by layer."""
    z_host, at_host = _run(host, shape, prompts, metric)
    z_donor, at_donor = _run(donor, shape, prompts, metric)
    at_once = max(1, rows // len(prompts))
    patched = [
        _patched(host, prompts, metric, layer, change)
        for layer in range(shape.n_layers)
        for change in _changes(host, donor, z_host, z_donor, layer).split(at_once)
    ]
    return torch.cat([at_host[None], at_donor[None], *patched]).double().cpu().numpy()


def _run(
    bridge: TransformerBridge, shape: GraphShape, prompts: Prompts, metric: Metric
) -> tuple[Recorder, Float[Tensor, " batch"]]:
    recorder = Recorder()
    names = map(hooks.z, range(shape.n_layers))
    with bridge.hooks(fwd_hooks=[recorder.keep(name) for name in names]):
        logits = last_logits(bridge, prompts.tokens)
    return recorder, metric.value(logits, prompts.answer, prompts.foils)


def _changes(
    host: TransformerBridge,
    donor: TransformerBridge,
    z_host: Recorder,
    z_donor: Recorder,
    layer: int,
) -> Float[Tensor, "head batch position d_model"]:
    """What every head of the donor adds to the stream minus what the host's adds.

    The biases of the output projections belong to no head and stay the host's.
    """

    def written(bridge: TransformerBridge, recorded: Recorder) -> Tensor:
        z, weight = recorded[hooks.z(layer)], bridge.blocks[layer].attn.W_O.detach()
        dtype = torch.promote_types(z.dtype, torch.float32)
        return torch.einsum("bphe,hed->hbpd", z.to(dtype), weight.to(dtype))

    return written(donor, z_donor) - written(host, z_host)


def _patched(
    host: TransformerBridge,
    prompts: Prompts,
    metric: Metric,
    layer: int,
    change: Float[Tensor, "head batch position d_model"],
) -> Float[Tensor, "head batch"]:
    def add(activation: Tensor, hook: Any) -> Tensor:
        return activation + change.flatten(0, 1).to(activation.dtype)

    n = len(change)
    with host.hooks(fwd_hooks=[(hooks.attn_out(layer), add)]):
        logits = last_logits(host, prompts.tokens.repeat(n, 1))
    values = metric.value(logits, prompts.answer.repeat(n), prompts.foils.repeat(n, 1))
    return values.unflatten(0, (n, -1))
