"""Names of a model's activations in the bridge, and a recorder of them.

Names follow TransformerLens: `resid_pre` of a layer is the residual stream before its attention,
`resid_mid` before its MLP, `z` the heads' outputs before the output projection.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Hook = tuple[str, Callable[..., Tensor | None]]

FINAL_SCALE = "ln_final.hook_scale"

LOGITS = "logits"
"""Stands for the logits at the last position, which are no hook but what the model returns."""


def resid_pre(layer: int) -> str:
    return f"blocks.{layer}.hook_resid_pre"


def resid_mid(layer: int) -> str:
    return f"blocks.{layer}.hook_resid_mid"


def resid_post(layer: int) -> str:
    return f"blocks.{layer}.hook_resid_post"


def attn_out(layer: int) -> str:
    return f"blocks.{layer}.hook_attn_out"


def mlp_out(layer: int) -> str:
    return f"blocks.{layer}.hook_mlp_out"


def attn_scale(layer: int) -> str:
    """The divisor of the norm before the attention."""
    return f"blocks.{layer}.ln1.hook_scale"


def attn_normalized(layer: int) -> str:
    """The output of the norm before the attention, without its weight and bias."""
    return f"blocks.{layer}.ln1.hook_normalized"


def mlp_norm_in(layer: int) -> str:
    """What the norm before the MLP reads."""
    return f"blocks.{layer}.ln2.hook_in"


def query(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_q"


def key(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_k"


def value(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_v"


def pattern(layer: int) -> str:
    """The attention probabilities [batch, head, query, key]."""
    return f"blocks.{layer}.attn.hook_pattern"


def scores(layer: int) -> str:
    """What the attention probabilities are the softmax of, scaled and masked."""
    return f"blocks.{layer}.attn.hook_attn_scores"


def z(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_z"


def at_end(name: str) -> Hook:
    """Let only the last position of an activation through.

    What comes after works on one position; where it is added to a stream of all positions it is
    added to each of them, which is right at the last and nonsense at the others.
    """

    def cut(activation: Tensor, hook: Any) -> Tensor:
        return activation[:, -1:]

    return name, cut


def end_run(name: str) -> Hook:
    """Let the forward pass end here: the bridge returns this activation."""

    from transformer_lens.model_bridge.exceptions import StopAtLayerException

    def end(activation: Tensor, hook: Any) -> None:
        raise StopAtLayerException(activation)

    return name, end


def last_logits(
    bridge: "TransformerBridge", tokens: Int[Tensor, "batch position"]
) -> Float[Tensor, "batch vocabulary"]:
    """Run a model on prompts of one length.

    Returns:
        The logits at the last position; the others are not computed.
    """
    return bridge(tokens, logits_to_keep=1)[:, -1]


class Recorder:
    """Collects activations of one forward pass by name.

    Its methods make hooks for `bridge.hooks(fwd_hooks=[...])`; `self[name]` is what was recorded.
    """

    def __init__(self) -> None:
        self._recorded: dict[str, Float[Tensor, "batch position *rest"]] = {}

    def __getitem__(self, name: str) -> Float[Tensor, "batch position *rest"]:
        return self._recorded[name]

    def select_prompts(self, part: slice) -> "Recorder":
        """What was recorded of some prompts of the batch."""
        recorder = Recorder()
        recorder._recorded = {name: value[part] for name, value in self._recorded.items()}
        return recorder

    def only(self, names: Iterable[str]) -> "Recorder":
        """The named activations, cut off from autograd, in a recorder of their own."""
        recorder = Recorder()
        recorder._recorded = {name: self._recorded[name].detach() for name in names}
        return recorder

    def keep(self, name: str) -> Hook:
        """Record the activation, cut off from autograd."""

        def record(activation: Tensor, hook: Any) -> None:
            self._recorded[name] = activation.detach()

        return name, record

    def tap(self, name: str) -> Hook:
        """Record a view that only what comes after the hook reads: its gradient is the reader's.

        At a norm's input, say, the residual connection around the norm reads the original.
        """

        def record(activation: Tensor, hook: Any) -> Tensor:
            self._recorded[name] = activation.view_as(activation)
            return self._recorded[name]

        return name, record

    def root(self, name: str, value: Float[Tensor, "batch position *rest"] | None = None) -> Hook:
        """Record the activation, or what takes its place, as the leaf where autograd begins."""

        def record(activation: Tensor, hook: Any) -> Tensor:
            begin = activation if value is None else value.to(activation.dtype)
            self._recorded[name] = begin.detach().requires_grad_()
            return self._recorded[name]

        return name, record
