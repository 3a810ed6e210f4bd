"""Attention of prompts of which a few positions are patched, with the rest from the corrupted run.

Cells share the corrupted keys and values before the patch. They are never copied for each cell:
the cells' queries are taken together instead, so that one product for each prompt and head meets
them. Throughout, `cell` comes after `batch`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from timelapse.probes.patching.fast_decoder import DecoderBlock


@dataclass(frozen=True)
class CorruptedAttention:
    """Queries, keys and values of one layer in the corrupted run."""

    query: Float[Tensor, "batch head position d_head"]
    key: Float[Tensor, "batch head position d_head"]
    value: Float[Tensor, "batch head position d_head"]

    @classmethod
    def of(
        cls,
        query: Float[Tensor, "batch position head d_head"],
        key: Float[Tensor, "batch position head d_head"],
        value: Float[Tensor, "batch position head d_head"],
    ) -> "CorruptedAttention":
        """The same from activations as they are recorded."""
        return cls(*(part.transpose(1, 2).contiguous() for part in (query, key, value)))

    @property
    def _scale(self) -> float:
        return float(self.query.shape[-1] ** -0.5)

    @cached_property
    def _scores(self) -> Float[Tensor, "batch head query key"]:
        """Before the softmax, scaled and causal."""
        return _causal(self.query @ self.key.mT * self._scale)

    def with_one_position(
        self,
        query: Float[Tensor, "batch cell head d_head"],
        key: Float[Tensor, "batch cell head d_head"],
        value: Float[Tensor, "batch cell head d_head"],
        at: int,
        first: int,
    ) -> Float[Tensor, "batch cell query d_heads"]:
        """The heads' outputs from `first` on, where the stream is patched at one position alone.

        The queries after that position are the corrupted run's; they see one other key and value.

        Args:
            query: the cells' own queries at the position; they count only if it is `first`.
            key: their own keys there.
            value: their own values there.
            at: the position, not after `first`.
            first: the first position whose output is wanted.

        Returns:
            The outputs of all heads, side by side.
        """
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        scores = self._scores[:, :, None, first:].repeat(1, 1, key.shape[2], 1, 1)
        scores[..., at] = (key @ self.query[:, :, first:].mT).mul_(self._scale)
        if at == first:
            scores[:, :, :, 0, :at] = (query @ self.key[:, :, :at].mT).mul_(self._scale)
            scores[:, :, :, 0, at] = (query * key).sum(-1) * self._scale
        pattern = scores.softmax(-1)
        z = (pattern.flatten(2, 3) @ self.value).unflatten(2, pattern.shape[2:4])
        change = value - self.value[:, :, at : at + 1]
        z.addcmul_(pattern[..., at, None], change[:, :, :, None])
        return _side_by_side(z)

    def with_suffix(
        self,
        query: Float[Tensor, "batch cell query head d_head"],
        key: Float[Tensor, "batch cell query head d_head"],
        value: Float[Tensor, "batch cell query head d_head"],
    ) -> Float[Tensor, "batch cell query d_heads"]:
        """The heads' outputs at the last positions, at all of which the stream is patched.

        Args:
            query: the cells' own queries at these positions.
            key: their own keys.
            value: their own values.

        Returns:
            The outputs of all heads, side by side.
        """
        query, key, value = (part.permute(0, 3, 1, 2, 4) for part in (query, key, value))
        n_own = query.shape[3]
        start = self.key.shape[2] - n_own
        scores = query.new_empty(*query.shape[:4], self.key.shape[2])
        before = query.flatten(2, 3) @ self.key[:, :, :start].mT
        scores[..., :start] = before.unflatten(2, query.shape[2:4])
        scores[..., start:] = query @ key.mT
        scores.mul_(self._scale)
        if n_own > 1:
            _causal(scores[..., start:])
        pattern = scores.softmax(-1)
        z = pattern[..., start:] @ value
        from_before = pattern[..., :start].flatten(2, 3) @ self.value[:, :, :start]
        return _side_by_side(z.add_(from_before.view_as(z)))

    def with_suffix_at_end(
        self, normed: Float[Tensor, "batch cell suffix d_model"], block: DecoderBlock
    ) -> Float[Tensor, "batch cell 1 d_heads"]:
        """The heads' outputs at the last position alone, where a whole suffix is patched.

        Keys and values are never computed. A score is the query taken back through the key weights,
        times the normed stream, and the output is the mean of the normed stream, weighted by the
        pattern, taken through the value weights: products with one vector for each head in place of
        one for each position.

        Args:
            normed: the output of the norm before the attention at the patched positions.
            block: the layer.

        Returns:
            The outputs of all heads, side by side.
        """
        heads = (block.n_heads, -1)
        n_own = normed.shape[2]
        start = self.key.shape[2] - n_own
        query = block.query(normed[:, :, -1]).unflatten(-1, heads)
        key_weight = block.key.weight.unflatten(-1, heads)
        value_weight = block.value.weight.unflatten(-1, heads)
        readers = torch.einsum("bche,dhe->bchd", query, key_weight)
        constant = torch.einsum("bche,he->bch", query, block.key.bias.unflatten(-1, heads))
        before = (query.transpose(1, 2) @ self.key[:, :, :start].mT).transpose(1, 2)
        scores = torch.cat([before, readers @ normed.mT + constant[..., None]], -1)
        pattern = scores.mul_(self._scale).softmax(-1)
        own, mean = pattern[..., start:], pattern[..., start:] @ normed
        z = torch.einsum("bchd,dhe->bche", mean, value_weight)
        z += own.sum(-1, keepdim=True) * block.value.bias.unflatten(-1, heads)
        z += (pattern[..., :start].transpose(1, 2) @ self.value[:, :, :start]).transpose(1, 2)
        return z.flatten(2)[:, :, None]

    def with_part(
        self,
        query: Float[Tensor, "batch position head d_head"] | None = None,
        key: Float[Tensor, "batch position head d_head"] | None = None,
        first: int = 0,
    ) -> Float[Tensor, "batch query head d_head"]:
        """The heads' outputs from `first` on with the queries or the keys of all heads replaced."""
        queries = self.query if query is None else query.transpose(1, 2)
        keys = self.key if key is None else key.transpose(1, 2)
        scores = _causal(queries[:, :, first:] @ keys.mT * self._scale)
        return (scores.softmax(-1) @ self.value).transpose(1, 2)


def _causal(scores: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch query key"]:
    """Hide from each of the last positions the keys after it, in place."""
    n_queries, n_keys = scores.shape[-2:]
    hidden = torch.ones(n_queries, n_keys, dtype=torch.bool, device=scores.device)
    return scores.masked_fill_(hidden.triu(n_keys - n_queries + 1), -torch.inf)


def _side_by_side(
    z: Float[Tensor, "batch head cell query d_head"],
) -> Float[Tensor, "batch cell query d_heads"]:
    return z.permute(0, 2, 3, 1, 4).flatten(3)
