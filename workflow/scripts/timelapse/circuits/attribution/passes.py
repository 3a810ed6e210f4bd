"""The passes through the model that attribution needs: corrupted, clean, and between the two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models import hooks
from timelapse.models.hooks import Hook, Recorder
from timelapse.models.loading import fused_activations
from timelapse.models.metric import Metric
from timelapse.models.prefix_cache import Prefix
from timelapse.models.prompts import Prompts


@dataclass(frozen=True)
class Pass:
    """What one forward pass of a batch of prompts left; positions begin where the prefix ends.

    Attributes:
        recorded: activations by name.
        values: the metric of every prompt.
    """

    recorded: Recorder
    values: Float[Tensor, " batch"]

    @property
    def dtype(self) -> torch.dtype:
        """That of everything computed from the pass: float32, or float64 if the model's is."""
        return self.values.dtype

    def __getitem__(self, name: str) -> Float[Tensor, "batch position *rest"]:
        return self.recorded[name]

    def only(self, names: Sequence[str]) -> "Pass":
        """The pass with some of its activations, cut off from autograd; the rest can be let go."""
        return Pass(self.recorded.only(names), self.values.detach())

    def gradients(self, names: Sequence[str]) -> dict[str, Float[Tensor, "batch position *rest"]]:
        """The gradients of the metric, summed over the prompts, at recorded activations.

        What autograd kept of the pass is let go.
        """
        activations = [self.recorded[name] for name in names]
        found = torch.autograd.grad(self.values.sum(), activations)
        return dict(zip(names, found, strict=True))


@dataclass(frozen=True)
class Passes:
    """The passes of a batch of prompts, no further than anything depends on them.

    They begin at the first token that the corruption changes: before it every activation is the
    same in all of them, and no gradient there is needed. In the last layer the heads' z, and all
    that comes after it, is of the last position alone, the only one that is read again. They end
    before the final norm: of the logits only what the metric needs is computed.

    Attributes:
        bridge: the model.
        prompts: the clean prompts.
        corruption: the corruption of the prompts.
        metric: what is measured of every prompt.
        prefix: what all passes share.
    """

    bridge: TransformerBridge
    prompts: Prompts
    corruption: str
    metric: Metric
    prefix: Prefix

    @classmethod
    def of(
        cls, bridge: TransformerBridge, prompts: Prompts, corruption: str, metric: Metric
    ) -> "Passes":
        """The passes of a batch; runs what they share."""
        prefix = Prefix.shared(bridge, prompts.tokens, prompts.corrupted[corruption])
        return cls(bridge, prompts, corruption, metric, prefix)

    def repeated(self, times: int) -> "Passes":
        """The passes of so many copies of the batch, copy by copy."""
        return replace(
            self, prompts=self.prompts.repeated(times), prefix=self.prefix.repeated(times)
        )

    @torch.no_grad()
    def corrupted(self, kept: Sequence[str]) -> Pass:
        """The corrupted prompts, without gradients."""
        recorder = Recorder()
        tokens = self.prompts.corrupted[self.corruption]
        return self._run(tokens, recorder, [*map(recorder.keep, kept)])

    def differentiable(
        self,
        root: str,
        tapped: Sequence[str],
        kept: Sequence[str] = (),
        value: Float[Tensor, "batch position *rest"] | None = None,
        corrupted: bool = False,
    ) -> Pass:
        """The prompts, with gradients from one activation on; parameters get none.

        Args:
            root: the activation where autograd begins.
            tapped: activations at which the gradients of what reads them can be taken.
            kept: further activations to record.
            value: what takes the root's place; the model's own if left out.
            corrupted: run the corrupted prompts instead of the clean ones.
        """
        recorder = Recorder()
        observers: list[Hook] = [
            recorder.root(root, value),
            *map(recorder.tap, (name for name in tapped if name != root)),
            *map(recorder.keep, (name for name in kept if name not in (root, *tapped))),
        ]
        tokens = self.prompts.corrupted[self.corruption] if corrupted else self.prompts.tokens
        with torch.enable_grad():
            return self._run(tokens, recorder, observers)

    def _run(self, tokens: Tensor, recorder: Recorder, observers: Sequence[Hook]) -> Pass:
        last = self.bridge.cfg.n_layers - 1
        cuts = [hooks.at_end(hooks.z(last))]
        if self.bridge.get_hook_point(hooks.mlp_norm_in(last)).hook_conversion is None:
            # OPT puts the tokens of all prompts in one row here, so that none can be left out.
            cuts.append(hooks.at_end(hooks.mlp_norm_in(last)))
        end = hooks.end_run(hooks.resid_post(last))
        with (
            fused_activations(self.bridge),
            self.bridge.hooks(fwd_hooks=[*cuts, *observers, end]),
        ):
            stream = self.prefix.run(self.bridge, tokens)
        answer, foils = self.prompts.answer, self.prompts.foils
        values = self.metric.value_of_stream(self.bridge, stream[:, -1], answer, foils)
        return Pass(recorder, values)
