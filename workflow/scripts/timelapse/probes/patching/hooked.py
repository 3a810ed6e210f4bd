"""Runs of a model through its own hooks: clean, corrupted, and with cells patched.

Patching by hooks is right for every model, and takes a whole forward pass for each cell. Many cells
share a pass: the corrupted prompts stand in it once for each of them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.metric import Metric
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.grid import HOOKS, POSITION_SITES, Cell

TOKENS = 4096
"""Tokens in one forward pass, which bounds the memory."""


@dataclass(frozen=True)
class PairedRuns:
    """Prompts beside their corrupted forms, and what both left in the model.

    Attributes:
        prompts: the clean prompts.
        tokens: the corrupted prompts.
        metric: what is measured of both.
        clean: the activations of all sites and layers in the clean run.
        corrupted: the same in the corrupted run, and the end of the residual stream.
        clean_value: the metric of the clean run.
        corrupted_value: that of the corrupted run, for the same answers and foils.
        first: the first position at which each pair of prompts differs.
    """

    prompts: Prompts
    tokens: Int[Tensor, "batch position"]
    metric: Metric
    clean: Recorder
    corrupted: Recorder
    clean_value: Float[Tensor, " batch"]
    corrupted_value: Float[Tensor, " batch"]
    first: Int[Tensor, " batch"]

    @property
    def start(self) -> int:
        """The first position at which any pair differs: up to it, both runs are the same."""
        return int(self.first.min())

    @property
    def length(self) -> int:
        """Tokens in a prompt."""
        return self.tokens.shape[1]

    def __getitem__(self, part: slice) -> "PairedRuns":
        return PairedRuns(
            self.prompts[part],
            self.tokens[part],
            self.metric,
            self.clean.select_prompts(part),
            self.corrupted.select_prompts(part),
            self.clean_value[part],
            self.corrupted_value[part],
            self.first[part],
        )


def paired_runs(
    bridge: TransformerBridge, prompts: Prompts, corruptions: Sequence[str], metric: Metric
) -> Iterator[PairedRuns]:
    """Run prompts of one length, once clean and once for each corruption.

    Args:
        bridge: the model.
        prompts: a batch on the model's device.
        corruptions: names of corruptions.
        metric: what is measured of every run.

    Yields:
        Both runs for each corruption, with everything recorded that can be patched.

    Raises:
        UserError: a corrupted prompt equals its clean one.
    """
    layers = range(bridge.cfg.n_layers)
    names = [name(layer) for name in HOOKS.values() for layer in layers]
    names.append(hooks.resid_post(layers[-1]))
    clean, clean_value = _run(bridge, prompts, prompts.tokens, names, metric)
    for corruption in corruptions:
        tokens = prompts.corrupted[corruption]
        differs = prompts.tokens != tokens
        if not differs.any(1).all():
            row = int(prompts.rows[int(differs.any(1).int().argmin())])
            raise UserError(
                "dataset",
                f"corrupted_{corruption}",
                f"the corrupted prompt of row {row} equals its clean one, so nothing can be"
                " restored",
                "Rewrite a role that changes the prompt",
            )
        corrupted, corrupted_value = _run(bridge, prompts, tokens, names, metric)
        yield PairedRuns(
            prompts,
            tokens,
            metric,
            clean,
            corrupted,
            clean_value,
            corrupted_value,
            first=differs.int().argmax(1),
        )


@torch.no_grad()
def _run(
    bridge: TransformerBridge,
    prompts: Prompts,
    tokens: Int[Tensor, "batch position"],
    names: Sequence[str],
    metric: Metric,
) -> tuple[Recorder, Float[Tensor, " batch"]]:
    recorder = Recorder()
    with bridge.hooks(fwd_hooks=[recorder.keep(name) for name in names]):
        logits = last_logits(bridge, tokens)
    return recorder, metric.value(logits, prompts.answer, prompts.foils)


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
