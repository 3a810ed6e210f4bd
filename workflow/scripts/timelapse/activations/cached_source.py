"""Activations from the cache; the model runs only for what is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.keys import BlockIndex, merge_needs, tensor_name
from timelapse.activations.source import ActivationSpec, LiveSource, select_positions
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.device import FittingBatch
from timelapse.models.prompts import Prompts

TensorsByName = dict[str, Float[Tensor, " block *rest"]]
"""Activations of a block by their names in the cache."""


class CachedSource:
    """Looks activations up by their content; computes and keeps those that are missing.

    Whoever finds something missing computes all that the study keeps of the block, in one forward
    pass. What is returned has been through the cache's dtype, found or computed.
    """

    def __init__(
        self,
        index: BlockIndex,
        bridge: TransformerBridge,
        checkpoint: str,
        needs: Sequence[ActivationSpec],
    ) -> None:
        """
        Args:
            index: the dataset's blocks and what is kept of them.
            bridge: the model; raw weights, as `models.loading` gives them.
            checkpoint: its digest, `keys.checkpoint_digest`.
            needs: what is read, each hook once.
        """
        self._index, self._bridge, self._checkpoint = index, bridge, checkpoint
        self._needs = needs
        self._batch = FittingBatch(index.rows)

    @property
    def dtype(self) -> torch.dtype:
        """The coarser of the model's dtype and the cache's."""
        dtypes: list[torch.dtype] = [self._index.dtype, self._bridge.cfg.dtype]
        return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)

    def __call__(self, prompts: Prompts) -> dict[str, Float[Tensor, " batch *rest"]]:
        """Activations of the clean prompts by hook name, in float32 at least.

        Raises:
            UserError: the cache cannot be written, or an activation is too large for its dtype.
            ValueError: the prompts are not of the index's dataset.
        """
        device = self._bridge.cfg.device
        tokens = prompts.tokens.cpu()
        dtype = torch.promote_types(self._index.dtype, torch.float32)
        gathered: dict[str, Tensor] = {}
        for here, block in self._index.blocks_of(prompts):
            batch = torch.from_numpy(here.nonzero()[0])
            rows = torch.from_numpy(block.rows.searchsorted(prompts.rows[here]))
            if not torch.equal(block.tokens[rows], tokens[batch]):
                raise ValueError("the prompts are not those of the index's dataset")
            for hook, activation in self._of_block(block).items():
                if hook not in gathered:
                    shape = (len(prompts), *activation.shape[1:])
                    gathered[hook] = torch.empty(shape, dtype=dtype, device=device)
                gathered[hook][batch.to(device)] = activation[rows].to(device, dtype)
        return gathered

    def _of_block(self, block: Prompts) -> TensorsByName:
        """The needed activations of a block by hook, in the dtype in which they are kept."""
        cache, key = self._index.cache, self._index.key(self._checkpoint, block)
        found = cache.get(key, {tensor_name(need) for need in self._as_kept(self._needs)})
        lacking = [need for need in self._needs if _look_up(found, need) is None]
        if lacking:
            found |= cache.get(key, {tensor_name(_at_all_positions(need)) for need in lacking})
            lacking = [need for need in self._needs if _look_up(found, need) is None]
        cache.directory.count(not lacking)
        if lacking:
            found |= self._compute(key, block, lacking)
        activations = {need.hook: _look_up(found, need) for need in self._needs}
        return {hook: value for hook, value in activations.items() if value is not None}

    def _as_kept(self, needs: Sequence[ActivationSpec]) -> list[ActivationSpec]:
        """The needs in the form in which the study keeps them."""
        kept = set(self._index.needs)
        return [wide if (wide := _at_all_positions(need)) in kept else need for need in needs]

    def _compute(
        self, key: str, block: Prompts, lacking: Sequence[ActivationSpec]
    ) -> TensorsByName:
        """Run the model once for these needs and whatever else is kept of the block but missing."""
        cache, dtype = self._index.cache, self._index.dtype
        needs = self._as_kept(lacking)
        if cache.directory.cap:
            cached = cache.names(key)
            needs += [need for need in self._index.needs if tensor_name(need) not in cached]
        needs = list(merge_needs(needs))
        live = self._batch.run(partial(self._run, block, needs))
        computed = {}
        for need in needs:
            value = live[need.hook]
            computed[tensor_name(need)] = value.to(dtype, copy=True)
            if value.isfinite().all() and not computed[tensor_name(need)].isfinite().all():
                raise UserError(
                    "config",
                    "activations.dtype",
                    f"{need.hook} reaches {float(value.abs().max()):.3g}, too much for {dtype}",
                    "Use bfloat16 or float32",
                )
        cache.put(key, computed)
        return computed

    def _run(self, block: Prompts, needs: Sequence[ActivationSpec], size: int) -> TensorsByName:
        """Activations by hook, on the CPU; the model reads `size` prompts at a time."""
        live = LiveSource(self._bridge, needs)
        parts = [
            {hook: value.cpu() for hook, value in live(part).items()}
            for part in block.batches(size)
        ]
        if len(parts) == 1:
            return parts[0]
        return {hook: torch.cat([part[hook] for part in parts]) for hook in parts[0]}


def _at_all_positions(need: ActivationSpec) -> ActivationSpec:
    return replace(need, where="all") if need.hook != hooks.LOGITS else need


def _look_up(
    tensors: Mapping[str, Float[Tensor, " block *rest"]], need: ActivationSpec
) -> Float[Tensor, " block *selected"] | None:
    """The needed activation: itself, or cut out of the activation at all positions."""
    if (exact := tensors.get(tensor_name(need))) is not None:
        return exact
    wide = tensors.get(tensor_name(_at_all_positions(need)))
    return None if wide is None else select_positions(wide, need)
