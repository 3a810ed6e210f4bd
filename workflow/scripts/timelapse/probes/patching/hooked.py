"""Patching through the model's own hooks: right for every model, a whole forward pass per cell.

Many cells share a pass: the corrupted prompts stand in it once for each of them.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.models import hooks
from timelapse.models.hooks import last_logits
from timelapse.probes.patching.clean_corrupted import PairedRuns
from timelapse.probes.patching.grid import HOOKS, POSITION_SITES, Cell

TOKENS = 4096
"""Tokens in one forward pass, which bounds the memory."""


class HookedPatcher:
    """Patches cells by hooks. See `probe.Patcher`."""

    def __init__(self, bridge: TransformerBridge, tokens: int = TOKENS) -> None:
        """
        Args:
            bridge: the model.
            tokens: the most tokens in one forward pass, at least one cell's.
        """
        self._bridge, self._tokens = bridge, tokens

    @torch.no_grad()
    def __call__(self, runs: PairedRuns, cells: Sequence[Cell]) -> Float[Tensor, "cell batch"]:
        """The metric of the corrupted prompts with each cell patched."""
        at_once = max(1, self._tokens // runs.tokens.numel())
        parts = [cells[at : at + at_once] for at in range(0, len(cells), at_once)]
        return torch.cat([self._together(runs, part) for part in parts])

    def _together(self, runs: PairedRuns, cells: Sequence[Cell]) -> Float[Tensor, "cell batch"]:
        by_hook: dict[str, list[int]] = defaultdict(list)
        for number, cell in enumerate(cells):
            by_hook[_hook_name(cell)].append(number)

        def patch(numbers: list[int]) -> Callable[[Tensor, Any], Tensor]:
            def hook_function(activation: Tensor, hook: Any) -> Tensor:
                patched = activation.clone()
                of_cells = patched.unflatten(0, (len(cells), -1))
                for number in numbers:
                    cell = cells[number]
                    _part(of_cells[number], cell).copy_(_clean(runs, cell))
                return patched

            return hook_function

        fwd_hooks = [(name, patch(numbers)) for name, numbers in by_hook.items()]
        with self._bridge.hooks(fwd_hooks=fwd_hooks):
            logits = last_logits(self._bridge, runs.tokens.repeat(len(cells), 1))
        prompts = runs.prompts.repeated(len(cells))
        values = runs.metric.value(logits, prompts.answer, prompts.foils)
        return values.unflatten(0, (len(cells), -1))


def _hook_name(cell: Cell) -> str:
    """The activation that a patch overwrites.

    For a pattern it is what the head makes of it, pattern times values: some attentions let their
    pattern be seen but not changed.
    """
    return HOOKS["z" if cell.site == "pattern" else cell.site](cell.layer)


def _part(
    activation: Float[Tensor, "batch position *rest"], cell: Cell
) -> Float[Tensor, " batch *selected"]:
    """A view of what belongs to the cell: one position, or one head."""
    return activation.select(1 if cell.site in POSITION_SITES else 2, cell.at)


def _clean(runs: PairedRuns, cell: Cell) -> Float[Tensor, " batch *rest"]:
    """The clean activation that a cell is patched with."""
    if cell.site != "pattern":
        return _part(runs.clean[_hook_name(cell)], cell)
    pattern = runs.clean[hooks.pattern(cell.layer)]
    value = runs.corrupted[hooks.value(cell.layer)]
    shared = pattern.shape[1] // value.shape[2]
    return pattern[:, cell.at] @ value[:, :, cell.at // shared]
