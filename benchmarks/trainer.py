"""What transformers' Trainer costs beside a bare loop of PyTorch: the same steps, one run.

python benchmarks/trainer.py
"""

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from datasets import Dataset  # noqa: E402

from timelapse.models.embedded import new_model, word_tokenizer  # noqa: E402
from timelapse.models.training import Recipe, train  # noqa: E402

STEPS = 184
SETTINGS = {"layers": 4, "heads": 4, "width": 128, "context": 32}
TOKENIZER = word_tokenizer([f"word{number}" for number in range(170)])


def main() -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    report = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "shapes": {}}
    for name, batch, length in (("fine-tuning", 16, 20), ("embedded model", 32, 32)):
        rows = np.random.default_rng(0).integers(4, 174, (STEPS * batch, length))
        with_trainer, bare = [], []
        for _ in range(3):
            with_trainer.append(trainer_seconds(rows, batch))
            bare.append(loop_seconds(rows, batch))
        ratios = [a / b for a, b in zip(with_trainer, bare, strict=True)]
        report["shapes"][name] = {
            "trainer_seconds": round(float(np.median(with_trainer)), 2),
            "loop_seconds": round(float(np.median(bare)), 2),
            "ratio": round(float(np.median(ratios)), 3),
        }
    report["load"] = round(os.getloadavg()[0], 2)
    text = json.dumps(report, indent=1)
    print(text)
    (ROOT / "benchmarks" / "trainer.json").write_text(text + "\n")


def trainer_seconds(rows: np.ndarray, batch: int) -> float:
    recipe = Recipe(
        steps=STEPS,
        batch=batch,
        learning_rate=1e-4,
        warmup=0,
        decay=0,
        betas=(0.9, 0.999),
        weight_decay=0.0,
        clip=1.0,
        dtype="float32",
        checkpoints=(STEPS,),
        rolling=STEPS,
    )
    model = new_model(SETTINGS, TOKENIZER, 0)
    examples = Dataset.from_dict({"input_ids": rows, "labels": rows})
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        train(lambda: model, TOKENIZER, examples, recipe, 0, Path(folder))
        return time.perf_counter() - start


def loop_seconds(rows: np.ndarray, batch: int) -> float:
    model = new_model(SETTINGS, TOKENIZER, 0).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    start = time.perf_counter()
    for step in range(STEPS):
        ids = torch.from_numpy(rows[step * batch : (step + 1) * batch])
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
