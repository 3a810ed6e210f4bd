"""EAP-IG along activations: the gradient averaged while one node's output is being corrupted.

For each source its own output alone goes in m steps from what it is in the corrupted run to what
it is in the clean one, in an otherwise clean run; its edges take the mean gradient at what their
targets read. The sum over a node's edges is then a Riemann sum of the integral that the effect of
corrupting the node's output is, so it approaches that effect, exact node patching, as m grows:
integrated gradients (Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep Networks", 2017,
section 3) with the node's output as the input.

The library of Hanna, Pezzelle & Belinkov has a method of this name, which corrupts all heads of a
layer together and gives every edge the mean over the steps of all layers; its sums have no such
limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.attribution.batching import by_batch
from timelapse.circuits.attribution.contraction import (
    ByLabel,
    Masks,
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
from timelapse.circuits.attribution.source_outputs import difference, project_heads, written_names
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.scores import PromptScores
from timelapse.models import hooks
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts


@by_batch
def eap_ig_activations(
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Prompts,
    corruption: str,
    settings: MethodSettings,
    metric: Metric,
) -> PromptScores:
    """The score of every edge for every prompt of one batch.

    The last step is the clean run whatever the source: its gradients are those of EAP, taken once.
    The other steps are a pass for each source, with several sources side by side where
    `settings.batch` leaves room.
    """
    entry, written, steps = hooks.resid_pre(0), written_names(shape), settings.ig_steps
    passes = Passes.of(bridge, prompts, corruption, metric)
    targets = target_gradients(bridge, shape)
    clean = passes.differentiable(entry, tapped_names(targets), [*kept_names(targets), *written])
    add_gradients(clean, targets)
    clean = clean.only(written)
    corrupted = passes.corrupted(written)
    masks = label_masks(prompts, passes.prefix.length) if settings.positions else {}
    scores = score_edges(bridge, shape, targets, clean, corrupted, masks)
    remaining = _RemainingTerms(shape, scores)
    side_by_side = max(1, settings.batch // len(prompts))
    for group in _source_groups(shape, side_by_side) if steps > 1 else ():
        copies = passes.repeated(group.size)
        downstream = target_gradients(bridge, shape)[group.first_target :]
        tapped, kept = tapped_names(downstream), kept_names(downstream)
        for step in range(1, steps):
            value = group.corrupted_to(step / steps, clean, corrupted)
            add_gradients(copies.differentiable(group.name, tapped, kept, value), downstream)
        direction = group.difference(bridge, clean, corrupted)
        products = [target.along(direction) for target in downstream]
        remaining.add(group, products, masks)
    summed = {label: part + remaining.of_edges(label) for label, part in scores.items()}
    return prompt_scores(prompts, {label: part / steps for label, part in summed.items()})


@dataclass(frozen=True)
class _SourceGroup:
    """Sources that write at the same activation.

    Attributes:
        name: the activation.
        layer: the layer in which they write, if they are heads.
        heads: which heads they are; None for the input and MLPs.
        sources: their places in `GraphShape.sources`.
        first_target: where in `target_gradients` the first targets come that any of them feeds.
    """

    name: str
    layer: int
    heads: slice | None
    sources: slice
    first_target: int

    @property
    def size(self) -> int:
        return self.sources.stop - self.sources.start

    def corrupted_to(
        self, point: float, clean: Pass, corrupted: Pass
    ) -> Float[Tensor, "copy_batch position *rest"]:
        """The activation for a copy of the batch per source, in which that source is corrupted.

        At point 0 it writes what it does in the corrupted run, at 1 what it does in the clean one.
        """
        begin, end = corrupted[self.name], clean[self.name]
        between = begin + point * (end - begin)
        if self.heads is None:
            return between
        value = end.repeat(self.size, 1, 1, 1)
        for copy, rows in enumerate(value.split(len(end))):
            head = self.heads.start + copy
            rows[:, :, head] = between[:, :, head]
        return value

    def difference(
        self, bridge: TransformerBridge, clean: Pass, corrupted: Pass
    ) -> Float[Tensor, "copy_batch position d_model"]:
        """Corrupted minus clean output of every source, copy by copy."""
        found = difference(self.name, clean, corrupted)
        if self.heads is None:
            return found
        outputs = project_heads(bridge, self.layer, found[:, :, self.heads], self.heads)
        return outputs.unflatten(1, found.shape[:2]).flatten(0, 1)


def _source_groups(shape: GraphShape, at_most: int) -> Iterator[_SourceGroup]:
    """All sources in their order, so many side by side at most."""
    yield _SourceGroup(hooks.resid_pre(0), 0, None, slice(0, 1), 0)
    for layer in range(shape.n_layers):
        first = 1 + layer * (shape.n_heads + 1)
        own_mlp, next_layer = 2 * layer + 1, 2 * layer + 2
        for start in range(0, shape.n_heads, at_most):
            heads = slice(start, min(start + at_most, shape.n_heads))
            sources = slice(first + heads.start, first + heads.stop)
            reader = next_layer if shape.parallel else own_mlp
            yield _SourceGroup(hooks.z(layer), layer, heads, sources, reader)
        mlp = first + shape.n_heads
        yield _SourceGroup(hooks.mlp_out(layer), layer, None, slice(mlp, mlp + 1), next_layer)


class _RemainingTerms:
    """Sums of scores over all steps but the last."""

    def __init__(self, shape: GraphShape, scores: ByLabel) -> None:
        self._fed = torch.zeros(len(shape.targets), len(shape.sources), dtype=torch.bool)
        for row, target in enumerate(shape.targets):
            self._fed[row, : shape.n_upstream(target)] = True
        self._sums = {
            label: part.new_zeros(*self._fed.shape, part.shape[1]) for label, part in scores.items()
        }

    def add(
        self,
        group: _SourceGroup,
        products: Sequence[Float[Tensor, "_target copy_batch _last_position"]],
        masks: Masks,
    ) -> None:
        """Add what a group's sources do to the targets downstream of them, the last ones of all."""
        row = len(self._fed) - sum(map(len, products))
        for of_targets in products:
            found = at_labels(of_targets.unflatten(1, (group.size, -1)), masks)
            for label, part in found.items():
                self._sums[label][row : row + len(of_targets), group.sources] += part
            row += len(of_targets)

    def of_edges(self, label: str) -> Float[Tensor, "edge batch"]:
        """The sums in the order of `GraphShape.edges`."""
        return self._sums[label][self._fed]
