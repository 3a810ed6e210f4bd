"""The attention probabilities of all heads, batch by batch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import ActivationSource, ActivationSpec
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.prompts import Prompts
from timelapse.tables import ATTENTION_PATTERN, without_step
from timelapse.tasks.dataset import read_dataset

Patterns = Float[Tensor, "layer head batch query key"]


def needs(config: TransformerBridgeConfig) -> tuple[ActivationSpec, ...]:
    """What the attention probe reads."""
    return tuple(ActivationSpec(hooks.pattern(layer), "all") for layer in range(config.n_layers))


def each_pattern(
    bridge: TransformerBridge, source: ActivationSource, prompts: Sequence[Prompts], batch_size: int
) -> Iterator[tuple[Prompts, Patterns]]:
    """Read the patterns of the clean prompts, at most `batch_size` at a time."""
    for bucket in prompts:
        for batch in bucket.to(bridge.cfg.device).batches(batch_size):
            read = source(batch)
            layers = [read[hooks.pattern(layer)] for layer in range(bridge.cfg.n_layers)]
            yield batch, torch.stack(layers).transpose(1, 2)


SCHEMA = without_step(ATTENTION_PATTERN)
_NAME = re.compile(r"a(\d+)\.h(\d+)")


@dataclass
class WholePatterns:
    """Collects the patterns, every key up to its query.

    Attributes:
        bridge: the model; its tokenizer names the tokens.
        heads: names such as `a3.h1`.
        examples: the example_id of each chosen prompt by its row in the dataset.

    Raises:
        UserError: the model has no such head.
    """

    bridge: TransformerBridge
    heads: Sequence[str]
    examples: Mapping[int, int]
    _parts: list[pa.Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = {name: _place(name, self.bridge) for name in self.heads}

    def add(self, prompts: Prompts, patterns: Patterns) -> None:
        """Take in the chosen ones among some prompts."""
        for number, row in enumerate(prompts.rows.tolist()):
            if row not in self.examples:
                continue
            ids = prompts.tokens[number].tolist()
            tokens = [self.bridge.tokenizer.decode([token]) for token in ids]
            for name, (layer, head) in self._places.items():
                pattern = patterns[layer, head, number].float().cpu().numpy()
                self._parts.append(_rows(self.examples[row], name, tokens, pattern))

    def table(self) -> pa.Table:
        """`tables.ATTENTION_PATTERN` without `step`; prompts in the order of their ids."""
        return pa.concat_tables([SCHEMA.empty_table(), *self._parts]).sort_by(
            [(name, "ascending") for name in ("example_id", "head", *_POSITIONS)]
        )


_POSITIONS = ("query_position", "key_position")


def example_ids(dataset: Path, rows: Sequence[int], measured: int) -> dict[int, int]:
    """The example_id of chosen prompts by their row among the measured ones.

    Args:
        dataset: a dataset's Parquet file.
        rows: the chosen ones.
        measured: how many of the dataset's first prompts are measured.

    Raises:
        UserError: a row that is not measured.
    """
    ids = read_dataset(dataset)["example_id"].to_pylist()[:measured]
    for row in rows:
        if row >= len(ids):
            raise UserError(
                "config",
                "probes.attention.examples",
                f"prompt {row} of {dataset} is not measured",
                f"Count from 0 and stay below {len(ids)}",
            )
    return {row: ids[row] for row in rows}


def _place(name: str, bridge: TransformerBridge) -> tuple[int, int]:
    found = _NAME.fullmatch(name)
    layer, head = map(int, found.groups()) if found else (-1, -1)
    if not (0 <= layer < bridge.cfg.n_layers and 0 <= head < bridge.cfg.n_heads):
        last = f"a{bridge.cfg.n_layers - 1}.h{bridge.cfg.n_heads - 1}"
        raise UserError(
            "config",
            "probes.attention.heads",
            f"the model has no head {name!r}",
            f"Name heads from a0.h0 to {last}",
        )
    return layer, head


def _rows(
    example: int, head: str, tokens: Sequence[str], pattern: Float[np.ndarray, "query key"]
) -> pa.Table:
    queries, keys = np.tril_indices(len(tokens))
    names = np.array(tokens, dtype=object)
    return pa.table(
        {
            "example_id": np.full(len(queries), example),
            "head": [head] * len(queries),
            "query_position": queries,
            "query_token": names[queries],
            "key_position": keys,
            "key_token": names[keys],
            "value": pattern[queries, keys],
        },
        schema=SCHEMA,
    )
