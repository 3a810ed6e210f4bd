"""Training that survives a kill: transformers' Trainer with checkpoints and a pickle-free state.

The Trainer keeps its state in pickles; here it is safetensors and JSON, written to a temporary
folder and renamed, so that a reader sees a whole state or none.
"""

import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import Dataset
from safetensors.torch import load_file, load_model, save_file, save_model
from torch.utils.data import SequentialSampler
from tqdm import tqdm
from transformers import (
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from timelapse import tables
from timelapse.errors import UserError
from timelapse.files.shared_folders import make_folder, settle
from timelapse.models.checkpoints import save_checkpoint, step_folder
from timelapse.models.checksums import verify, write_checksums
from timelapse.models.device import FittingBatch

transformers_logging.set_verbosity_error()

STATE = "state"
"""Where in a training's folder its rolling state lies."""
_log = logging.getLogger(__name__)

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
        betas: AdamW's moments.
        weight_decay: AdamW's decay.
        clip: largest gradient norm.
        dtype: "float32", or "bfloat16" for autocast with float32 weights.
        checkpoints: the steps after which a checkpoint is kept, 0 = before the first.
        rolling: steps between two states that a killed training continues from.
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
    rolling: int


def train(
    new_model: Callable[[], PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    examples: Dataset,
    recipe: Recipe,
    seed: int,
    folder: Path,
) -> pa.Table:
    """Train on `examples` in the order given, steps x batch of them; continue what lies in folder.

    Checkpoints go to `folder/checkpoints/step-NNNNNN`. Started again with equal arguments after a
    kill, it ends with the same bytes as an undisturbed training (same device and thread count).
    Where memory runs out, a step is split into passes of half as many examples: the same training
    but for rounding, and for what dropout draws.

    Args:
        new_model: gives the model before step 0, anew at every call.
        tokenizer: saved with every checkpoint; its end token pads where it has no padding token.
        examples: `input_ids` and `labels` (-100: no loss) of each, in the order of training.
        recipe: how to train.
        seed: of whatever the model draws (dropout).
        folder: where checkpoints and the state are kept.

    Returns:
        the training table: a row a step.

    Raises:
        UserError: the folder vanishes meanwhile, or one example does not fit in the memory.
    """
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    make_folder(folder)

    def trained(size: int) -> pa.Table:
        at_once = max(part for part in range(1, size + 1) if recipe.batch % part == 0)
        return _train(new_model(), tokenizer, examples, recipe, seed, folder, at_once)

    return FittingBatch(recipe.batch).run(trained)


def _train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Dataset,
    recipe: Recipe,
    seed: int,
    folder: Path,
    at_once: int,
) -> pa.Table:
    """As `train`, `at_once` examples in a pass: a divisor of the batch."""
    tokens = np.cumsum(pc.list_value_length(examples.data["input_ids"]).to_numpy())
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=recipe.batch // at_once,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={"num_decay_steps": recipe.decay, "decay_type": "linear"},
        warmup_steps=recipe.warmup,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        bf16=recipe.dtype == "bfloat16",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
    )
    trainer = _ResumableTrainer(
        model=model,
        args=arguments,
        train_dataset=examples,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
    )
    film = _Film(trainer, tokenizer, recipe, folder)
    trainer.add_callback(film)
    trainer.callback_handler.callbacks = [
        callback
        for callback in trainer.callback_handler.callbacks
        if type(callback).__name__ != "PrinterCallback"
    ]
    trainer.train(resume_from_checkpoint=_whole_state(folder, recipe))
    film.bar.close()
    rows = [row | {"tokens": int(tokens[row["step"] * recipe.batch - 1])} for row in film.rows]
    return pa.Table.from_pylist(rows, schema=tables.TRAINING)


def _whole_state(folder: Path, recipe: Recipe) -> str | None:
    """The state to continue from, if it and the checkpoints kept until then are what was written.

    A damaged one is removed: the training starts over.
    """
    state = folder / STATE
    if not state.exists():
        return None
    try:
        verify(state, required=True)
        reached = TrainerState.load_from_json(str(state / "trainer_state.json")).global_step
        for step in recipe.checkpoints:
            if step <= reached:
                verify(step_folder(folder / "checkpoints", step), required=True)
    except UserError as error:
        _log.warning("%s: %s; the training starts over", error.source, error.problem)
        shutil.rmtree(state)
        return None
    return str(state)


class _Film(TrainerCallback):
    """Keeps checkpoints and the rolling state, collects the training table, shows the progress."""

    def __init__(
        self,
        trainer: "_ResumableTrainer",
        tokenizer: PreTrainedTokenizerBase,
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.trainer, self.tokenizer, self.recipe, self.folder = trainer, tokenizer, recipe, folder
        self.rows: list[dict[str, Any]] = []
        self.bar = tqdm(total=recipe.steps, unit="step", mininterval=1, file=sys.stderr)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.rows = [dict(row) for row in self.trainer.resumed_rows]
        self.started = time.monotonic() - (self.rows[-1]["seconds"] if self.rows else 0.0)
        self.bar.update(state.global_step)
        if state.global_step == 0 and 0 in self.recipe.checkpoints:
            self._keep(0)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        step = state.global_step
        self.rows.append(
            {
                "step": step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "seconds": time.monotonic() - self.started,
            }
        )
        self.bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
        self.bar.update(step - self.bar.n)
        if step in self.recipe.checkpoints:
            self._keep(step)
        if step % self.recipe.rolling == 0 and step < self.recipe.steps:
            self._refuse_if_gone()
            self.trainer.write_state(self.folder / STATE, self.rows)

    def _keep(self, step: int) -> None:
        self._refuse_if_gone()
        target = step_folder(self.folder / "checkpoints", step)
        save_checkpoint(self.trainer.model, self.tokenizer, target)

    def _refuse_if_gone(self) -> None:
        """A process that was halted for long may have been taken for dead, see `trainings`."""
        if not self.folder.is_dir():
            problem = "the folder is gone: somebody has removed it, or goes on with this training"
            raise UserError(self.folder, "", problem, "Run again")


class _ResumableTrainer(Trainer):
    """A Trainer whose order of examples is the dataset's and whose state holds no pickle.

    Only torch's generators are part of the state: nothing else is drawn from while it trains.
    """

    resumed_rows: Sequence[Mapping[str, Any]] = ()

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset or self.train_dataset)

    def write_state(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace the state in `folder`; a kill meanwhile leaves a whole one or none."""
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        save_model(self.model, str(part / "model.safetensors"))
        optimizer = self.optimizer.state_dict()
        save_file(
            {
                f"{number}.{name}": value
                for number, slots in optimizer["state"].items()
                for name, value in slots.items()
            },
            part / "optimizer.safetensors",
        )
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        save_file(
            {
                "cpu": torch.get_rng_state(),
                **{f"cuda.{device}": state for device, state in enumerate(cuda)},
            },
            part / "random.safetensors",
        )
        state = {
            "groups": optimizer["param_groups"],
            "schedule": self.lr_scheduler.state_dict(),
            "rows": list(rows),
        }
        (part / "state.json").write_text(json.dumps(state, default=_plain))
        self.state.save_to_json(str(part / "trainer_state.json"))
        write_checksums(part)
        settle(part)
        old = folder.with_name(folder.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_model(self.model, str(Path(resume_from_checkpoint) / "model.safetensors"))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        state = json.loads((Path(checkpoint) / "state.json").read_text())
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in load_file(Path(checkpoint) / "optimizer.safetensors").items():
            number, name = key.split(".", 1)
            slots.setdefault(int(number), {})[name] = value
        for group in state["groups"]:
            if "betas" in group:
                group["betas"] = tuple(group["betas"])
        self.optimizer.load_state_dict({"state": slots, "param_groups": state["groups"]})
        self.lr_scheduler.load_state_dict(state["schedule"])
        self.resumed_rows = state["rows"]

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        tensors = load_file(Path(checkpoint) / "random.safetensors")
        torch.set_rng_state(tensors["cpu"])
        for device in range(torch.cuda.device_count()):
            torch.cuda.set_rng_state(tensors[f"cuda.{device}"], device)


def _plain(value: object) -> object:
    """JSON for the few objects in a schedule's state that are not plain numbers."""
    if isinstance(value, torch.Tensor):
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} in the training state")
