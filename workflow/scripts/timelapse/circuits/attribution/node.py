"""Node attribution: what corrupting a node's whole output does, to first order.

The difference of the output times the gradient of the clean prompt's logit difference at that
output (Nanda, "Attribution Patching", 2023). It goes back through all readers at once, so by the
chain rule it is the sum of the node's edge scores by EAP.
"""

import torch
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.contraction import at_labels, label_masks, prompt_scores
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
        return difference(name, clean, corrupted) * gradients[name].to(clean.dtype)

    found = [products(hooks.resid_pre(0)).sum(-1)[None]]
    for layer in range(shape.n_layers):
        found.append(products(hooks.z(layer)).sum(-1).permute(2, 0, 1))
        found.append(products(hooks.mlp_out(layer)).sum(-1)[None])
    by_position = torch.cat(found)
    masks = label_masks(prompts, passes.prefix.length) if settings.positions else {}
    return prompt_scores(prompts, by_position.sum(2), at_labels(by_position, masks))
