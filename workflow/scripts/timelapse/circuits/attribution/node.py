"""Node attribution: what corrupting a node's whole output does, to first order.

The difference of the output times the gradient of the clean prompt's logit difference at that
output (Nanda, "Attribution Patching", 2023). It goes back through all readers at once, so by the
chain rule it is the sum of the node's edge scores by EAP.
"""

import torch
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.contraction import WHOLE, at_labels, label_masks, prompt_scores
from timelapse.circuits.attribution.outputs import difference, written_names
from timelapse.circuits.attribution.passes import Passes
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.scores import PromptScores
from timelapse.circuits.settings import Settings
from timelapse.models import hooks
from timelapse.models.prompts import Prompts


def node(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: Settings,
) -> PromptScores:
    """The score of every source, in the order of `shape.sources`."""
    written = written_names(shape)
    passes = Passes.of(bridge, prompts, corruption)
    clean = passes.differentiable(hooks.resid_pre(0), tapped=written)
    gradients = clean.gradients(written)
    corrupted = passes.corrupted(written)

    def products(name: str) -> torch.Tensor:
        found = difference(name, clean, corrupted) * gradients[name].to(clean.dtype)
        summed = found.sum(-1)
        return summed[None] if summed.ndim == 2 else summed.permute(2, 0, 1)

    masks = label_masks(prompts, passes.prefix.length) if settings.positions else {}
    by_position = [products(hooks.resid_pre(0))]
    for layer in range(shape.n_layers):
        by_position += [products(hooks.z(layer)), products(hooks.mlp_out(layer))]
    parts = [at_labels(found, masks) for found in by_position]
    scores = {label: torch.cat([part[label] for part in parts]) for label in (WHOLE, *masks)}
    return prompt_scores(prompts, scores)
