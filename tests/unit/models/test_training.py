"""Training: what is kept, what is learned from, and that a kill changes nothing."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2LMHeadModel

from timelapse.errors import UserError
from timelapse.models.checkpoints import discard, step_folder
from timelapse.models.embedded import new_model, word_tokenizer
from timelapse.models.finetuning import answer_examples, drawn_rows
from timelapse.models.prompts import encode
from timelapse.models.training import Recipe, train
from timelapse.tasks.dataset import read_dataset, write_datasets
from timelapse.tasks.spec import load_spec

TOKENIZER = word_tokenizer([f"word{number}" for number in range(20)])
SETTINGS = {"layers": 1, "heads": 2, "width": 16, "context": 12}
RECIPE = Recipe(
    steps=12,
    batch=4,
    learning_rate=1e-2,
    warmup=2,
    decay=3,
    betas=(0.9, 0.98),
    weight_decay=0.01,
    clip=1.0,
    dtype="float32",
    checkpoints=(0, 5, 8, 12),
    rolling=3,
)


def full_above(most: int, failures: list[int]) -> Callable[..., None]:
    """A hook before a model that lets memory run out in passes of more than `most` examples."""

    def hook(_: object, args: tuple, kwargs: dict) -> None:
        size = len(kwargs["input_ids"])
        if size > most:
            failures.append(size)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return hook


def train_in(
    folder: Path,
    dropout: float = 0.1,
    slow: float = 0.0,
    most: int = 0,
    failures: list[int] | None = None,
) -> pa.Table:
    failures = [] if failures is None else failures
    torch.set_num_threads(1)

    def model() -> GPT2LMHeadModel:
        made = new_model(SETTINGS, TOKENIZER, seed=1)
        for module in made.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        if slow:
            made.register_forward_pre_hook(lambda *_: time.sleep(slow))
        if most:
            made.register_forward_pre_hook(full_above(most, failures), with_kwargs=True)
        return made

    rows = np.random.default_rng(0).integers(4, 24, (RECIPE.steps * RECIPE.batch, 10))
    examples = Dataset.from_dict({"input_ids": rows, "labels": rows})
    return train(model, TOKENIZER, examples, RECIPE, seed=3, folder=folder)


def test_a_step_that_does_not_fit_is_split_and_the_training_is_the_same(tmp_path: Path) -> None:
    whole, failures = train_in(tmp_path / "whole", dropout=0.0), []
    split = train_in(tmp_path / "split", dropout=0.0, most=1, failures=failures)
    assert failures == [4, 2]
    assert split["step"].equals(whole["step"]) and split["tokens"].equals(whole["tokens"])
    assert split["loss"].to_numpy() == pytest.approx(whole["loss"].to_numpy(), rel=1e-4)
    for step in RECIPE.checkpoints:
        found, wanted = (
            load_file(step_folder(tmp_path / name / "checkpoints", step) / "model.safetensors")
            for name in ("split", "whole")
        )
        for name in wanted:
            if name.endswith("c_attn.bias"):
                # A key's bias changes no attention: its gradient is rounding, which Adam enlarges.
                width = SETTINGS["width"]
                for weights in (found, wanted):
                    weights[name][width : 2 * width] = 0
            torch.testing.assert_close(found[name], wanted[name], rtol=1e-3, atol=1e-4)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train_in(folder)


def test_the_kept_steps_load_as_models_and_hold_no_pickle(
    undisturbed: tuple[Path, pa.Table],
) -> None:
    checkpoints = undisturbed[0] / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == [
        "step-000000",
        "step-000005",
        "step-000008",
        "step-000012",
    ]
    for folder in checkpoints.iterdir():
        assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
        AutoModelForCausalLM.from_pretrained(folder)


def test_step_0_is_the_model_before_training(undisturbed: tuple[Path, pa.Table]) -> None:
    kept = AutoModelForCausalLM.from_pretrained(undisturbed[0] / "checkpoints" / "step-000000")
    fresh = new_model(SETTINGS, TOKENIZER, seed=1)
    for name, weight in fresh.named_parameters():
        assert torch.equal(weight, dict(kept.named_parameters())[name]), name


def test_the_table_has_every_step_and_the_schedule(undisturbed: tuple[Path, pa.Table]) -> None:
    table = undisturbed[1].to_pydict()
    assert table["step"] == list(range(1, 13))
    assert table["tokens"] == [40 * step for step in range(1, 13)]
    rates = table["learning_rate"]
    assert rates[2:10] == pytest.approx([1e-2] * 8)
    assert rates[0] < rates[1] < rates[2]
    assert rates[9] > rates[10] > rates[11] > 0
    assert min(table["loss"]) > 0


def test_training_is_made_from_the_seed(undisturbed: tuple[Path, pa.Table], tmp_path: Path) -> None:
    table = train_in(tmp_path)
    assert table.drop(["seconds"]).equals(undisturbed[1].drop(["seconds"]))
    assert bytes_of(tmp_path / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")


def test_dropout_is_drawn_from_while_training(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    """Otherwise the tests around a kill would not see whether the generator is restored."""
    assert train_in(tmp_path, dropout=0.0)["loss"] != undisturbed[1]["loss"]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def halve(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training that was killed between steps 9 and 12 has left."""
    folder = tmp_path_factory.mktemp("interrupted")
    train_in(folder)
    shutil.rmtree(folder / "checkpoints" / "step-000012")
    return folder


def test_a_whole_state_is_continued_from(
    interrupted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(interrupted, tmp_path / "training"))
    kept = folder / "checkpoints" / "step-000008" / "model.safetensors"
    written = kept.stat().st_mtime_ns
    train_in(folder)
    assert kept.stat().st_mtime_ns == written, "step 8 was trained again"
    assert not caplog.records


@pytest.mark.parametrize("damage", [flip, halve, Path.unlink])
@pytest.mark.parametrize(
    "file",
    [
        "state/model.safetensors",
        "state/optimizer.safetensors",
        "state/random.safetensors",
        "state/state.json",
        "state/trainer_state.json",
        "state/checksums.json",
        "checkpoints/step-000005/model.safetensors",
        "checkpoints/step-000008/config.json",
    ],
)
def test_a_damaged_state_is_told_and_the_training_starts_over(
    undisturbed: tuple[Path, pa.Table],
    interrupted: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    damage: Callable[[Path], None],
) -> None:
    folder = Path(shutil.copytree(interrupted, tmp_path / "training"))
    damage(folder / file)
    table = train_in(folder)
    (told,) = caplog.messages
    assert str((folder / file).parent) in told and told.endswith("the training starts over")
    assert bytes_of(folder / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")
    assert table.drop(["seconds"]).equals(undisturbed[1].drop(["seconds"]))


def test_a_training_whose_folder_is_taken_ends_with_one_message(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "training", tmp_path / "elsewhere"
    taken = threading.Thread(target=rename_when_there, args=(folder, elsewhere))
    taken.start()
    with pytest.raises(UserError, match="the folder is gone"):
        train_in(folder, slow=0.05)
    taken.join()
    assert not folder.exists()


def rename_when_there(folder: Path, target: Path) -> None:
    deadline = time.monotonic() + 60
    while not (folder / "checkpoints" / "step-000000").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    folder.rename(target)


@pytest.mark.parametrize("seen", ["state", "checkpoints/step-000005", "checkpoints/step-000008"])
def test_a_killed_training_ends_with_the_bytes_of_an_undisturbed_one(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path, seen: str
) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=train_in, args=(tmp_path,), kwargs={"slow": 0.05}
    )
    process.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / seen).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "checkpoints" / "step-000012").exists()
    table = train_in(tmp_path)
    assert bytes_of(tmp_path / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")
    assert table.drop(["seconds"]).equals(undisturbed[1].drop(["seconds"]))


def test_a_discarded_training_is_gone_or_begins_anew(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "training"
    train_in(folder)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        discard(folder)
    assert not folder.exists()
    train_in(folder)
    assert bytes_of(folder / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")
    discard(folder)
    assert not list(tmp_path.iterdir())


def test_a_half_written_state_is_not_continued_from(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    part = tmp_path / "state.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"cut off")
    train_in(tmp_path)
    assert bytes_of(tmp_path / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")


def test_the_loss_lies_on_the_answer_alone(tmp_path: Path) -> None:
    spec = load_spec(Path(__file__).parents[3] / "tasks" / "ioi3.yaml")
    path = tmp_path / "train.parquet"
    write_datasets(spec, 0, {"train": path})
    tokenizer, table = word_tokenizer(spec.words()), read_dataset(path).slice(0, 20)
    examples = answer_examples(table, tokenizer, path, np.array([3, 0, 3]))
    for example, row in zip(examples, [3, 0, 3], strict=True):
        text = f"{table['prompt'][row]} {table['answer'][row]}"
        assert example["input_ids"] == tokenizer(text)["input_ids"]
        assert example["labels"][:-1] == [-100] * (len(example["labels"]) - 1)
        assert tokenizer.decode(example["labels"][-1:]) == str(table["answer"][row])
    assert encode(table, tokenizer, path)


def test_every_prompt_is_seen_once_before_any_is_seen_twice() -> None:
    rows = drawn_rows(10, 25, np.random.default_rng(0))
    assert sorted(rows[:10]) == sorted(rows[10:20]) == list(range(10))
    assert len(rows) == 25 and len({*rows[20:].tolist()}) == 5
