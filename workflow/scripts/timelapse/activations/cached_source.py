"""Activations from the store; the model runs only for what is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.block_index import Filing, merged, name_of
from timelapse.activations.source import LiveSource, Need, cut, kind_of, tokens_of
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.device import FittingBatch
from timelapse.models.prompts import Prompts

Named = dict[str, Float[Tensor, "block *rest"]]
"""Activations of a block by their names in the store."""


class StoredSource:
    """Looks activations up by their content; computes and keeps those that are missing.

    Whoever finds something missing computes all that the study keeps of the block, in one forward
    pass. What is returned has been through the store's dtype, found or computed.
    """

    def __init__(
        self, filing: Filing, bridge: TransformerBridge, checkpoint: str, needs: Sequence[Need]
    ) -> None:
        """Read a checkpoint's activations through a store.

        Args:
            filing: the dataset's blocks and what is kept of them.
            bridge: the model; raw weights, as `models.loading` gives them.
            checkpoint: its digest, `keys.checkpoint_digest`.
            needs: what is read, each hook once a side.
        """
        self._filing, self._bridge, self._checkpoint = filing, bridge, checkpoint
        self._needs = needs
        self._batch = FittingBatch(filing.rows)

    @property
    def dtype(self) -> torch.dtype:
        """See `Source`."""
        dtypes: list[torch.dtype] = [self._filing.dtype, self._bridge.cfg.dtype]
        return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)

    def __call__(self, prompts: Prompts, side: str) -> dict[str, Float[Tensor, "batch *rest"]]:
        """See `Source`.

        Raises:
            UserError: the store cannot be written, or an activation is too large for its dtype.
            ValueError: the prompts are not of the filing's dataset.
        """
        device = self._bridge.cfg.device
        tokens = tokens_of(prompts, side).cpu()
        read = torch.promote_types(self._filing.dtype, torch.float32)
        gathered: dict[str, Tensor] = {}
        for here, block in self._filing.parts(prompts):
            batch = torch.from_numpy(here.nonzero()[0])
            rows = torch.from_numpy(block.rows.searchsorted(prompts.rows[here]))
            if not torch.equal(tokens_of(block, side)[rows], tokens[batch]):
                raise ValueError("the prompts are not those of the filing's dataset")
            for hook, activation in self._of_block(block, side).items():
                if hook not in gathered:
                    shape = (len(prompts), *activation.shape[1:])
                    gathered[hook] = torch.empty(shape, dtype=read, device=device)
                gathered[hook][batch.to(device)] = activation[rows].to(device, read)
        return gathered

    def _of_block(self, block: Prompts, side: str) -> Named:
        """The needed activations of a block by hook, in the dtype in which they are kept."""
        needs = [need for need in self._needs if need.side == kind_of(side)]
        store, key = self._filing.store, self._filing.key(self._checkpoint, block, side)
        found = store.get(key, {name_of(need) for need in self._kept(needs)})
        lacking = [need for need in needs if _of(found, need) is None]
        if lacking:
            found |= store.get(key, {name_of(_widened(need)) for need in lacking})
            lacking = [need for need in needs if _of(found, need) is None]
        store.shelf.count(not lacking)
        if lacking:
            found |= self._compute(key, block, side, lacking)
        activations = {need.hook: _of(found, need) for need in needs}
        return {hook: value for hook, value in activations.items() if value is not None}

    def _kept(self, needs: Sequence[Need]) -> list[Need]:
        """The needs in the form in which the study keeps them."""
        kept = set(self._filing.needs)
        return [_widened(need) if _widened(need) in kept else need for need in needs]

    def _compute(self, key: str, block: Prompts, side: str, lacking: Sequence[Need]) -> Named:
        """Run the model once for these needs and whatever else is kept of the block but missing."""
        store, dtype = self._filing.store, self._filing.dtype
        needs = self._kept(lacking)
        if store.shelf.cap:
            there = store.names(key)
            kind = kind_of(side)
            others = [need for need in self._filing.needs if need.side == kind]
            needs += [need for need in others if name_of(need) not in there]
        needs = list(merged(needs))
        live = self._batch.run(partial(self._run, block, side, needs))
        computed = {}
        for need in needs:
            value = live[need.hook]
            computed[name_of(need)] = value.to(dtype, copy=True)
            if value.isfinite().all() and not computed[name_of(need)].isfinite().all():
                raise UserError(
                    "config",
                    "activations.dtype",
                    f"{need.hook} reaches {float(value.abs().max()):.3g}, too much for {dtype}",
                    "Use bfloat16 or float32",
                )
        store.put(key, computed)
        return computed

    def _run(self, block: Prompts, side: str, needs: Sequence[Need], size: int) -> Named:
        """Activations by hook, on the CPU; the model reads so many prompts at a time."""
        live = LiveSource(self._bridge, needs)
        parts = [
            {hook: value.cpu() for hook, value in live(part, side).items()}
            for part in block.batches(size)
        ]
        if len(parts) == 1:
            return parts[0]
        return {hook: torch.cat([part[hook] for part in parts]) for hook in parts[0]}


def _widened(need: Need) -> Need:
    return replace(need, where="all") if need.hook != hooks.LOGITS else need


def _of(found: Mapping[str, Tensor], need: Need) -> Float[Tensor, "block *rest"] | None:
    """What is found of a need: itself, or cut out of the activation at all positions."""
    if (exact := found.get(name_of(need))) is not None:
        return exact
    wide = found.get(name_of(_widened(need)))
    return None if wide is None else cut(wide, need)
