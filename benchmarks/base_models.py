"""The embedded model for several seeds: what it can do on held-out prompts, and how long it takes.

python benchmarks/base_models.py [seed ...]
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

import torch  # noqa: E402

from timelapse.models.checkpoints import publish  # noqa: E402
from timelapse.models.embedded import train_embedded  # noqa: E402
from timelapse.models.loading import load_model, load_tokenizer  # noqa: E402
from timelapse.models.prompts import encode  # noqa: E402
from timelapse.models.training_store import TrainingFolder  # noqa: E402
from timelapse.probes.win_rate import win_rate  # noqa: E402
from timelapse.study.config_files import ConfigFiles  # noqa: E402
from timelapse.study.study import read_study  # noqa: E402
from timelapse.tasks.dataset import read_dataset, read_texts, write_datasets  # noqa: E402
from timelapse.tasks.spec import load_spec  # noqa: E402


def main() -> None:
    study = read_study(ConfigFiles.read([ROOT / "studies" / "base_model.yaml"]))
    settings = study.models["base"].params["settings"]
    specs = {task: load_spec(study.task_file(task)) for task in study.tasks}
    threads = min(2, os.cpu_count() or 1)
    torch.set_num_threads(threads)
    seeds = [int(seed) for seed in sys.argv[1:]] or [0, 1, 2]
    rows = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            rows.append({"seed": seed} | measure(seed, settings, specs, Path(name)))
        print(rows[-1], flush=True)
    report = {
        "machine": f"{platform.machine()}, {threads} threads",
        "load": round(os.getloadavg()[0], 2),
        "steps": settings["steps"],
        "seeds": rows,
    }
    (ROOT / "benchmarks" / "base_models.json").write_text(json.dumps(report, indent=1) + "\n")


def measure(seed: int, settings: dict, specs: dict, folder: Path) -> dict[str, float]:
    """Train one model as the workflow does and take its win rate on every task's test prompts."""
    for task, spec in specs.items():
        write_datasets(
            spec, seed, {part: folder / f"{task}-{part}.parquet" for part in ("train", "test")}
        )
    texts = {task: read_texts(folder / f"{task}-train.parquet") for task in settings["mixture"]}
    words = {word for task in settings["mixture"] for word in specs[task].words()}
    start = time.time()
    last = folder / "model"
    train_embedded(
        settings,
        sorted(words),
        texts,
        seed,
        TrainingFolder(folder, "base", str(seed)),
        keep=lambda _, checkpoint: publish(checkpoint, last),
    )
    seconds = time.time() - start
    model, tokenizer = load_model(last, "cpu"), load_tokenizer(last)
    rates = {}
    for task in specs:
        path = folder / f"{task}-test.parquet"
        table = win_rate(model, encode(read_dataset(path), tokenizer, path), 200)
        rates[task] = round(table["win_rate"][0].as_py(), 3)
    return {"seconds": round(seconds)} | rates


if __name__ == "__main__":
    main()
