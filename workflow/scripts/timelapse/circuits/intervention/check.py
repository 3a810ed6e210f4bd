"""Whether a pass that puts the model together from its edges is the model."""

from collections.abc import Sequence

import torch
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import resample
from timelapse.circuits.intervention.forward import logit_differences
from timelapse.errors import UserError
from timelapse.models.measure import last_logits, logit_difference
from timelapse.models.prompts import Prompts


@torch.no_grad()
def refuse_other_arithmetic(
    bridge: TransformerBridge, shape: GraphShape, prompts: Sequence[Prompts], corruption: str
) -> None:
    """Check on a prompt of every length that with all edges kept the clean run comes out.

    Raises:
        UserError: it does not, by more than rounding: a projection does something else than its
            weight and bias say, or what is read is not the residual stream through the norm.
    """
    everything = torch.ones(1, len(shape.edges), dtype=torch.bool)
    for bucket in prompts:
        one = bucket[:1].to(bridge.cfg.device)
        ablation = resample(bridge, shape, one, corruption)
        (found,) = logit_differences(bridge, shape, one, ablation, everything)
        logits = last_logits(bridge, one.tokens)
        clean = logit_difference(logits, one.answer, one.foils)
        rounding = 64 * torch.finfo(logits.dtype).eps * logits.abs().max()
        if (found - clean).abs().max() > rounding:
            raise UserError(
                bridge.cfg.model_name,
                "",
                "with every edge kept its parts do not make its clean run",
                "Leave circuits out of this model's study",
            )
