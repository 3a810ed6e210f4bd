"""Logit lens: what the model would say if it stopped at each layer.

The residual stream at the prompt's last position goes through the final norm, with the norm's own
statistics of that stream, and through the unembedding (nostalgebraist 2020, "interpreting GPT: the
logit lens").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis.logit_lens import logit_readout

from timelapse.activations.source import ActivationSource, ActivationSpec
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.prompts import Prompts
from timelapse.running_mean import RunningMean
from timelapse.tables import LOGIT_LENS, LOGIT_LENS_TOP, without_step

TOKENS = ("answer", "foil")
MEASURES = ("rank", "probability")
NUMBERS = 2**24
"""Logits that are computed together, at least those of a batch at one point."""


@dataclass(frozen=True)
class StreamPoint:
    """Where the lens reads the residual stream.

    Attributes:
        name: as in the table's column `place`.
        layer: the layer before which it lies; n_layers is after the last.
        hook: the bridge's name of the stream there.
    """

    name: str
    layer: int
    hook: str


def stream_points(n_layers: int) -> tuple[StreamPoint, ...]:
    """`input`, `pre1`, ... `final`: the names of the `stream` in the logit-difference table."""
    return (
        *(
            StreamPoint(f"pre{layer}" if layer else "input", layer, hooks.resid_pre(layer))
            for layer in range(n_layers)
        ),
        StreamPoint("final", n_layers, hooks.resid_post(n_layers - 1)),
    )


def needs(config: TransformerBridgeConfig) -> tuple[ActivationSpec, ...]:
    """What `logit_lens` reads."""
    return tuple(ActivationSpec(point.hook, "end") for point in stream_points(config.n_layers))


def logit_lens(
    bridge: TransformerBridge,
    source: ActivationSource,
    prompts: Sequence[Prompts],
    batch_size: int,
    top: int,
) -> dict[str, pa.Table]:
    """Read the answer, its foils and the likeliest tokens before every layer and at the end.

    Args:
        bridge: the model.
        source: gives its `needs`.
        prompts: buckets of prompts; every prompt has the same weight.
        batch_size: prompts run at a time.
        top: how many of the likeliest tokens of a layer are kept.

    Returns:
        `logit_lens`: `tables.LOGIT_LENS` without `step`. Means over the prompts of the rank (1 is
        the likeliest of the whole vocabulary) and the probability of the answer, and of the
        prompt's mean over its foils.
        `logit_lens_top`: `tables.LOGIT_LENS_TOP` without `step`. The tokens with the largest mean
        probability at each point, the largest first, with the share of prompts for which the token
        is the likeliest.

    Raises:
        UserError: the model's logits are not the unembedded final norm of its stream.
    """
    points = stream_points(bridge.cfg.n_layers)
    means = RunningMean(len(points) * len(TOKENS) * len(MEASURES))
    vocabulary = torch.zeros(2, len(points), bridge.W_U.shape[1], dtype=torch.float64)
    for bucket in prompts:
        for batch in bucket.to(bridge.cfg.device).batches(batch_size):
            activations = source(batch)
            streams = torch.stack([activations[point.hook][:, -1] for point in points])
            at_once = max(1, NUMBERS // (len(batch) * vocabulary.shape[2]))
            values = []
            for first in range(0, len(points), at_once):
                logits = _readout(bridge, streams[first : first + at_once])
                probability = logits.softmax(-1)
                for number, parts in enumerate(zip(logits, probability, strict=True), first):
                    values += _of_answer_and_foils(*parts, batch)
                    likeliest = torch.bincount(parts[0].argmax(-1), minlength=logits.shape[2])
                    vocabulary[0, number] += parts[1].double().sum(0).cpu()
                    vocabulary[1, number] += likeliest.cpu()
            means.add(torch.stack(values))
    return {
        "logit_lens": _table(points, means),
        "logit_lens_top": _top_table(bridge, points, vocabulary / means.count, top),
    }


def _readout(
    bridge: TransformerBridge, streams: Float[Tensor, "point batch d_model"]
) -> Float[Tensor, "point batch vocabulary"]:
    """The logits of streams as if they were the final one.

    Raises:
        UserError: the model's logits are not the unembedded final norm of its stream.
    """
    try:
        return logit_readout(bridge, streams).values.float()
    except (ValueError, NotImplementedError) as error:
        raise UserError(
            bridge.cfg.model_name,
            "",
            f"the logit lens cannot read it ({str(error).splitlines()[0].rstrip('.')})",
            "Leave the logit_lens probe out of this model's study",
        ) from error


def _of_answer_and_foils(
    logits: Float[Tensor, "batch vocabulary"],
    probability: Float[Tensor, "batch vocabulary"],
    prompts: Prompts,
) -> list[Float[Tensor, " batch"]]:
    """In the order of `TOKENS` and, within, `MEASURES`."""
    values = []
    for tokens in (prompts.answer[:, None], prompts.foils):
        own = logits.gather(1, tokens)
        larger = (logits[:, None] > own[:, :, None]).sum(-1)
        values += [1 + larger.float().mean(1), probability.gather(1, tokens).mean(1)]
    return values


def _table(points: Sequence[StreamPoint], means: RunningMean) -> pa.Table:
    rows = [
        (point.name, point.layer, token, measure)
        for point in points
        for token in TOKENS
        for measure in MEASURES
    ]
    names, layers, tokens, measures = zip(*rows, strict=True)
    return pa.table(
        {
            "place": names,
            "layer": layers,
            "token": tokens,
            "measure": measures,
            "value": means.mean.float().numpy(),
            "std_error": means.std_error.float().numpy(),
        },
        schema=without_step(LOGIT_LENS),
    )


def _top_table(
    bridge: TransformerBridge,
    points: Sequence[StreamPoint],
    means: Float[Tensor, "probability_and_share point vocabulary"],
    top: int,
) -> pa.Table:
    probability, share = means
    best = probability.topk(min(top, probability.shape[1])).indices
    rows = [(point, token) for point, tokens in zip(points, best, strict=True) for token in tokens]
    return pa.table(
        {
            "place": [point.name for point, _ in rows],
            "layer": [point.layer for point, _ in rows],
            "token": [bridge.tokenizer.decode([int(token)]) for _, token in rows],
            "probability": probability.gather(1, best).flatten().float().numpy(),
            "share": share.gather(1, best).flatten().float().numpy(),
        },
        schema=without_step(LOGIT_LENS_TOP),
    )
