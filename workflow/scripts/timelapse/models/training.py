"""Training of a causal language model, in a plain loop that survives a kill at any step.

AdamW on float32 weights, with a linear warm-up, a stable phase and a linear decay of the learning
rate. Kept checkpoints and the state to resume from go to a `TrainingFolder`.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from accelerate import Accelerator
from jaxtyping import Float, Int
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from timelapse import tables
from timelapse.models.checkpoints import write_checkpoint
from timelapse.models.device import FittingBatch
from timelapse.models.training_state import StateTimer, resume, write_state
from timelapse.models.training_store import TrainingFolder

IGNORED = -100
"""Label of a token that carries no loss."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        steps: optimiser steps.
        batch: examples in a step.
        learning_rate: its peak.
        warmup: steps of linear warm-up.
        decay: steps of linear decay to zero at the end.
        betas: AdamW's decay rates of the two moments.
        weight_decay: AdamW's weight decay, of matrices alone (not of biases and norms).
        clip: largest norm of the gradient.
        dtype: "float32", or "bfloat16" for autocast with float32 weights.
        checkpoints: the steps after which a checkpoint is kept, 0 = before the first.
    """

    steps: int
    batch: int
    learning_rate: float
    warmup: int
    decay: int
    betas: tuple[float, float]
    weight_decay: float
    clip: float
    dtype: str
    checkpoints: tuple[int, ...]

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        stable_end = self.steps - self.decay
        if step < self.warmup:
            return self.learning_rate * (step / self.warmup)
        if step < stable_end:
            return self.learning_rate
        return self.learning_rate * (1.0 - (step - stable_end) / self.decay)


@dataclass(frozen=True)
class Examples:
    """What a model is trained on.

    Attributes:
        tokens: token ids, padded on the right.
        labels: the same tokens where they carry loss, `IGNORED` elsewhere.
        lengths: tokens of each row without the padding.
        order: the rows in the order of training, steps x batch of them.
    """

    tokens: Int[np.ndarray, "row position"]
    labels: Int[np.ndarray, "row position"]
    lengths: Int[np.ndarray, " row"]
    order: Int[np.ndarray, " example"]

    def batches(self, size: int, start: int) -> Iterator["Batch"]:
        """The examples from number `start` on, `size` at a time, cut to the longest of them."""
        rows = self.order[start:].tolist()
        return iter(DataLoader(rows, batch_size=size, collate_fn=self._batch))

    def _batch(self, rows: list[int]) -> "Batch":
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        labels = torch.from_numpy(self.labels[rows, :longest])
        return Batch(
            tokens=torch.from_numpy(self.tokens[rows, :longest]),
            mask=torch.from_numpy(np.arange(longest) < lengths[:, None]).long(),
            targets=functional.pad(labels, (0, 1), value=IGNORED)[:, 1:],
            n_labels=int((labels != IGNORED).sum()),
        )


@dataclass(frozen=True)
class Batch:
    """Examples of one pass.

    Attributes:
        tokens: token ids.
        mask: 1 at tokens, 0 at padding.
        targets: the token to predict at each position, `IGNORED` where there is no loss.
        n_labels: tokens with a label, by which the loss is divided. A row's first token counts,
            though nothing predicts it, as in transformers' Trainer.
    """

    tokens: Int[torch.Tensor, "example position"]
    mask: Int[torch.Tensor, "example position"]
    targets: Int[torch.Tensor, "example position"]
    n_labels: int

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        tokens, mask, targets = (
            tensor.to(device) for tensor in (self.tokens, self.mask, self.targets)
        )
        return Batch(tokens, mask, targets, self.n_labels)


Keep = Callable[[int, Path], None]
"""Takes a kept step and a folder that holds its checkpoint while the call lasts."""


def train(
    new_model: Callable[[], PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    examples: Examples,
    recipe: Recipe,
    seed: int,
    folder: TrainingFolder,
    keep: Keep,
    clock: Callable[[], float] = time.monotonic,
) -> pa.Table:
    """Train a model; go on from the state in `folder` if there is one.

    After a kill, it ends with the same bytes as an undisturbed training (same kind of device and
    number of threads). Where memory runs out, a step is split into passes of half as many examples:
    the same training but for rounding, and for what dropout draws.

    Args:
        new_model: gives the model before step 0, anew at every call.
        tokenizer: saved with every checkpoint.
        examples: what to train on.
        recipe: how to train.
        seed: of whatever the model draws (dropout).
        folder: where checkpoints and states are kept for a training that goes on.
        keep: takes the checkpoints; a step may be given more than once.
        clock: seconds, by which states are due.

    Returns:
        the training table: a row a step.

    Raises:
        UserError: one example does not fit into the memory.
    """

    def trained(size: int) -> pa.Table:
        at_once = max(part for part in range(1, size + 1) if recipe.batch % part == 0)
        model = new_model()
        return _train(model, tokenizer, examples, recipe, seed, folder, keep, clock, at_once)

    return FittingBatch(recipe.batch).run(trained)


def _train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Examples,
    recipe: Recipe,
    seed: int,
    folder: TrainingFolder,
    keep: Keep,
    clock: Callable[[], float],
    at_once: int,
) -> pa.Table:
    """As `train`, `at_once` examples in a pass: a divisor of the batch."""

    def keep_checkpoint(step: int) -> None:
        with folder.added(folder.checkpoint(step)) as new:
            write_checkpoint(model, tokenizer, new)
            keep(step, new)

    torch.manual_seed(seed)
    model.config.use_cache = False
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="bf16" if recipe.dtype == "bfloat16" else "no",
    )
    model, optimizer = accelerator.prepare(model, _optimizer(model, recipe))
    state = resume(folder, recipe.checkpoints, model, optimizer, keep)
    batches = examples.batches(at_once, start=state.step * recipe.batch)
    state.set_generators()  # after the loader has drawn from them, as it did at the first start
    if state.step == 0 and 0 in recipe.checkpoints:
        keep_checkpoint(0)
    timer = StateTimer(clock)
    start = clock() - (state.rows[-1]["seconds"] if state.rows else 0.0)
    tokens = np.cumsum(examples.lengths[examples.order])[recipe.batch - 1 :: recipe.batch]
    model.train()
    bar = tqdm(total=recipe.steps, initial=state.step, unit="step", mininterval=1, file=sys.stderr)
    while state.step < recipe.steps:
        passes = [next(batches) for _ in range(recipe.batch // at_once)]
        rate = recipe.rate(state.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = _backward(accelerator, model, passes)
        accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()
        row = {
            "step": state.step + 1,
            "loss": loss.item(),
            "learning_rate": rate,
            "tokens": int(tokens[state.step]),
            "seconds": clock() - start,
        }
        state.step += 1
        state.rows.append(row)
        bar.set_postfix(loss=f"{row['loss']:.3f}", refresh=False)
        bar.update()
        kept = state.step in recipe.checkpoints
        if kept:
            keep_checkpoint(state.step)
        if state.step < recipe.steps and timer.is_due(weights_are_kept=kept):
            with timer.writing():
                write_state(folder, state, model, tokenizer, optimizer, with_weights=not kept)
    bar.close()
    return pa.Table.from_pylist(state.rows, schema=tables.TRAINING)


def _optimizer(model: PreTrainedModel, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with one group of parameters for what decays, one for biases and norms."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def _backward(
    accelerator: Accelerator, model: PreTrainedModel, passes: Sequence[Batch]
) -> Float[torch.Tensor, ""]:
    """Adds up the gradients of the passes of a step; returns the loss for each label."""
    n_labels = sum(batch.n_labels for batch in passes)
    total = torch.zeros((), device=accelerator.device)
    for batch in passes:
        loss = _loss(model, batch.to(accelerator.device)) / n_labels
        accelerator.backward(loss)
        total += loss.detach()
    return total


def _loss(model: PreTrainedModel, batch: Batch) -> Float[torch.Tensor, ""]:
    """The cross-entropy of a batch's targets, summed; logits are computed where targets are.

    If most positions have a target anyway, cutting the others out costs more than it saves.
    """
    positions = (batch.targets != IGNORED).any(0).nonzero()[:, 0]
    few = 2 * len(positions) < batch.targets.shape[1]
    logits = model(
        input_ids=batch.tokens,
        attention_mask=batch.mask,
        logits_to_keep=positions if few else 0,
    ).logits
    targets = batch.targets[:, positions] if few else batch.targets
    return functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
