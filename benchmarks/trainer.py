"""What training costs beside transformers' Trainer and a bare loop of PyTorch, in one run.

python benchmarks/trainer.py
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from transformers import (  # noqa: E402
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from timelapse.models.embedded import new_model, word_tokenizer  # noqa: E402
from timelapse.models.training import IGNORED, Examples, Recipe, train  # noqa: E402  # noqa: E402
from timelapse.models.training_store import TrainingFolder  # noqa: E402

STEPS = 30
REPEATS = 3


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        batch: rows in a step.
        length: tokens in a row.
        words: of the vocabulary.
        answer_only: whether the last token alone carries loss.
    """

    batch: int
    length: int
    words: int
    answer_only: bool

    def tokenizer(self) -> PreTrainedTokenizerFast:
        return word_tokenizer([f"word{number}" for number in range(self.words)])

    def model(self) -> GPT2LMHeadModel:
        settings = {"layers": 4, "heads": 4, "width": 128, "context": 32}
        return new_model(settings, self.tokenizer(), 0)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and labels."""
        shape = (STEPS * self.batch, self.length)
        tokens = np.random.default_rng(0).integers(4, self.words, shape)
        labels = np.full_like(tokens, IGNORED)
        if self.answer_only:
            labels[:, -1] = tokens[:, -1]
        return tokens, labels if self.answer_only else tokens


CASES = {
    "training from scratch": Case(32, 32, 170, answer_only=False),
    "fine-tuning": Case(16, 20, 170, answer_only=True),
    "fine-tuning, 50,000 words": Case(16, 20, 50_000, answer_only=True),
}


def main() -> None:
    torch.set_num_threads(1)
    ways = {"train": this, "Trainer": stock, "bare loop": bare}
    report: dict = {
        "machine": f"{platform.machine()}, one thread",
        "unit": "milliseconds of processor time a step, and their ratio to the bare loop's",
        "cases": {},
    }
    for name, case in CASES.items():
        measured = {way: [] for way in ways}
        for _ in range(REPEATS):
            for way, run in ways.items():
                measured[way].append(seconds(run, case) / STEPS * 1000)
        ratio = {
            way: np.median(np.array(times) / measured["bare loop"])
            for way, times in measured.items()
        }
        report["cases"][name] = {
            way: {"ms": round(float(np.median(times)), 2), "ratio": round(float(ratio[way]), 3)}
            for way, times in measured.items()
        }
    report["load"] = round(os.getloadavg()[0], 2)
    text = json.dumps(report, indent=1)
    print(text)
    (ROOT / "benchmarks" / "trainer.json").write_text(text + "\n")


def seconds(run: Callable[[Case, Path], Callable[[], object]], case: Case) -> float:
    """Processor time of a training, without making the model."""
    with tempfile.TemporaryDirectory() as folder:
        training = run(case, Path(folder))
        start = time.process_time()
        training()
        return time.process_time() - start


def this(case: Case, folder: Path) -> Callable[[], object]:
    """The workflow's training, with its last checkpoint."""
    tokens, labels = case.rows()
    recipe = Recipe(
        steps=STEPS,
        batch=case.batch,
        learning_rate=1e-4,
        warmup=0,
        decay=0,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        clip=1.0,
        dtype="float32",
        checkpoints=(STEPS,),
    )
    model, tokenizer = case.model(), case.tokenizer()
    order = np.arange(len(tokens))
    examples = Examples(tokens, labels, np.full(len(tokens), case.length), order)
    place = TrainingFolder(folder, "run", "key")
    return lambda: train(
        lambda: model, tokenizer, examples, recipe, 0, place, keep=lambda step, checkpoint: None
    )


def stock(case: Case, folder: Path) -> Callable[[], object]:
    """transformers' Trainer, with the same optimiser, a loss at every step and its last model."""
    tokens, labels = case.rows()
    rows = [
        {"input_ids": ids, "labels": wanted} for ids, wanted in zip(tokens, labels, strict=True)
    ]
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=case.batch,
        learning_rate=1e-4,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        train_sampling_strategy="sequential",
    )
    trainer = Trainer(model=case.model(), args=arguments, train_dataset=rows)
    trainer.log = lambda logs, *_: None

    def run() -> None:
        trainer.train()
        trainer.save_model()

    return run


def bare(case: Case, folder: Path) -> Callable[[], object]:
    """A loop of PyTorch."""
    tokens, labels = (torch.from_numpy(rows) for rows in case.rows())
    model = case.model().train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def run() -> None:
        for step in range(STEPS):
            rows = slice(step * case.batch, (step + 1) * case.batch)
            loss = model(input_ids=tokens[rows], labels=labels[rows]).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()

    return run


if __name__ == "__main__":
    main()
