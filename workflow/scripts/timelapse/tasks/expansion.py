"""From a spec to its prompts: balanced, all different, the same for the same seed."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int, UInt64

from timelapse.errors import UserError
from timelapse.seeds import generator
from timelapse.tasks import rendering
from timelapse.tasks.rendering import Words
from timelapse.tasks.spec import TaskSpec, dataset_schema
from timelapse.tasks.templates import Layout

# The test split comes first, so that its prompts do not depend on the size of the others.
SPLIT_ORDER = ("test", "validation", "train")
# A prompt that exists is missed by this many draws per possible prompt with probability exp(-30).
_DRAWS_PER_PROMPT = 30


def expand(spec: TaskSpec, seed: int, batch: int = 8192) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Make the prompts of every split, in batches of the dataset schema.

    Example i has template i mod T and, within that template, its orders in turn: any k rows that
    follow one another are balanced. No prompt occurs twice, neither in one split nor in two.

    Args:
        spec: the task.
        seed: with the names of the task and the split, all that the draws depend on.
        batch: rows a batch; bounds the memory.

    Raises:
        UserError: fewer different prompts exist than the splits ask for.
    """
    schema = dataset_schema(spec.schemes)
    supply = _Supply(spec)
    first = 0
    for split in SPLIT_ORDER:
        rng, stop = generator(seed, spec.name, split), first + spec.splits[split]
        for start in range(first, stop, batch):
            examples = np.arange(start, min(start + batch, stop))
            try:
                made = _batch(supply, rng, examples)
            except _ExhaustedError as error:
                problem = f"{error} has too few different prompts for all splits"
                remedy = "Lower the splits, or add words or templates"
                raise UserError(spec.source, f"splits.{split}", problem, remedy) from error
            yield split, pa.record_batch([pa.array(examples), *made.columns], schema=schema)
        first = stop


def _batch(
    supply: "_Supply", rng: np.random.Generator, examples: Int[np.ndarray, " row"]
) -> pa.RecordBatch:
    """The examples with these ids, without the column of ids."""
    parts, places = [], []
    templates = supply.spec.templates
    for number, template in enumerate(templates):
        order_of = examples // len(templates) % len(template)
        for order, layout in enumerate(template):
            here = np.flatnonzero((examples % len(templates) == number) & (order_of == order))
            if len(here):
                prompts, drawn = supply.take(layout, len(here), rng)
                parts.append(rendering.columns(supply.spec, layout, supply.words, prompts, drawn))
                places.append(here)
    return pa.concat_batches(parts).take(pa.array(np.argsort(np.concatenate(places))))


class _ExhaustedError(Exception):
    """A layout has no new prompt."""


class _Supply:
    """New prompts of a task: none is given out twice."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec, self.words = spec, Words(spec)
        self._known: UInt64[np.ndarray, " prompt"] = np.empty(0, dtype=np.uint64)

    def take(
        self, layout: Layout, count: int, rng: np.random.Generator
    ) -> tuple[pa.StringArray, Int[np.ndarray, "row role"]]:
        """Draw until `count` prompts of a layout are new."""
        texts, draws, in_vain = [], [], 0
        patience = _DRAWS_PER_PROMPT * self.spec.capacity(layout)
        while count:
            drawn = self.words.draw(rng, count)
            prompts = rendering.prompts(layout, self.words, drawn)
            is_new = self._add(prompts)
            texts.append(prompts.filter(pa.array(is_new)))
            draws.append(drawn[is_new])
            in_vain = 0 if is_new.any() else in_vain + count
            count -= int(is_new.sum())
            if in_vain > patience:
                raise _ExhaustedError(f"the template {layout.template!r}")
        return pa.concat_arrays(texts), np.concatenate(draws)

    def _add(self, prompts: pa.StringArray) -> Bool[np.ndarray, " row"]:
        """Note prompts by their hashes and say which were new; of equal ones the first.

        Two different prompts that share a 64-bit hash cost a redraw and nothing else.
        """
        texts = prompts.to_numpy(zero_copy_only=False)
        hashes, first = np.unique(pd.util.hash_array(texts, categorize=False), return_index=True)
        places = np.searchsorted(self._known, hashes)
        is_known = np.zeros(len(hashes), dtype=bool)
        inside = places < len(self._known)
        is_known[inside] = self._known[places[inside]] == hashes[inside]
        self._known = np.insert(self._known, places[~is_known], hashes[~is_known])
        is_new = np.zeros(len(prompts), dtype=bool)
        is_new[first[~is_known]] = True
        return is_new
