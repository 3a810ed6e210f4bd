"""Edge attribution with gradients from the way between the corrupted and the clean prompt.

The score of an edge is the sum over positions of (corrupted - clean output of its source) times the
gradient of the metric at what its target reads. Negative: the edge helps. The methods
differ in where the gradient is taken, as a point between the corrupted (0) and the clean (1) input
embedding, whose residual stream before the first block is in a straight line between theirs:

- EAP: in the clean run (Syed, Rager & Conmy, "Attribution Patching Outperforms Automated Circuit
  Discovery", 2023).
- EAP-IG: averaged over m points k/m, k = 1 ... m (Hanna, Pezzelle & Belinkov, "Have Faith in
  Faithfulness", 2024). With one point it is EAP. As m grows the sum over the edges of `input` goes
  to the whole effect of the corruption.
- clean-corrupted: averaged over both ends, as in the library of that paper.
"""

from collections.abc import Sequence

import torch
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.batching import by_batch
from timelapse.circuits.attribution.contraction import (
    WHOLE,
    at_labels,
    label_masks,
    prompt_scores,
    score_edges,
)
from timelapse.circuits.attribution.gradients import (
    add_gradients,
    kept_names,
    tapped_names,
    target_gradients,
)
from timelapse.circuits.attribution.passes import Pass, Passes
from timelapse.circuits.attribution.source_outputs import difference, written_names
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.scores import PromptScores
from timelapse.models import hooks
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts


@by_batch
def eap(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> PromptScores:
    """The gradient of the clean run: two forward passes, one backward."""
    return _averaged(bridge, shape, prompts, corruption, settings, metric, [1.0])


@by_batch
def eap_ig(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> PromptScores:
    """The mean gradient at `settings.ig_steps` points: m + 1 forward passes, m backward."""
    steps = settings.ig_steps
    points = [step / steps for step in range(1, steps + 1)]
    return _averaged(bridge, shape, prompts, corruption, settings, metric, points)


@by_batch
def clean_corrupted(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> PromptScores:
    """The mean gradient of the clean and the corrupted run: two forward passes, two backward."""
    return _averaged(bridge, shape, prompts, corruption, settings, metric, [0.0, 1.0])


def _averaged(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
    points: Sequence[float],
) -> PromptScores:
    """Scores by the mean gradient over points, of which 1 must be one.

    The gradients of all points are summed and brought together with the differences once. The pass
    at 1 is the clean run, so it also gives the clean outputs; likewise the one at 0.
    """
    entry, written = hooks.resid_pre(0), written_names(shape)
    passes = Passes.of(bridge, prompts, corruption, metric)
    targets = target_gradients(bridge, shape)
    tapped, kept = tapped_names(targets), kept_names(targets)

    def end_of_path(corrupted: bool) -> Pass:
        run = passes.differentiable(entry, tapped, [*kept, *written], corrupted=corrupted)
        add_gradients(run, targets)
        return run.only(written)

    clean = end_of_path(corrupted=False)
    corrupted = end_of_path(corrupted=True) if 0 in points else passes.corrupted(written)
    begin, end = corrupted[entry], clean[entry]
    for point in points:
        if 0 < point < 1:
            between = begin + point * (end - begin)
            add_gradients(passes.differentiable(entry, tapped, kept, between), targets)
    masks = label_masks(prompts, passes.prefix.length) if settings.positions else {}
    scores = score_edges(bridge, shape, targets, clean, corrupted, masks)
    return prompt_scores(prompts, {label: part / len(points) for label, part in scores.items()})


@by_batch
def node(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> PromptScores:
    """The score of every source, in the order of `shape.sources`."""
    written = written_names(shape)
    passes = Passes.of(bridge, prompts, corruption, metric)
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
