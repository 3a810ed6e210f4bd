"""Training: what is kept, what is learned from, and that a kill changes nothing."""

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tiny_models import ARCHITECTURES, random_model
from torch.nn import functional
from transformers import AutoModelForCausalLM, GPT2LMHeadModel
from transformers.optimization import get_wsd_schedule
from transformers.trainer_pt_utils import get_parameter_names

from timelapse.models.checkpoints import publish
from timelapse.models.embedded import new_model, word_tokenizer
from timelapse.models.finetuning import answer_examples, drawn_rows
from timelapse.models.training import IGNORED, Examples, Recipe, _loss, _optimizer, train
from timelapse.models.training_state import INTERVAL
from timelapse.models.training_store import TrainingFolder
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
)


def folder_in(place: Path) -> TrainingFolder:
    """A training's folder in a store in `place`."""
    return TrainingFolder(place / "store", "run", "key")


def published(place: Path, step: int) -> Path:
    """Where a test's training leaves a kept checkpoint."""
    return place / "checkpoints" / f"step-{step:06d}"


class PassClock:
    """A clock by which a state is due after some of the passes of a model, and after no others.

    Args:
        due: the numbers of those passes, from 1.
    """

    def __init__(self, due: Collection[int]) -> None:
        self.due, self.passes, self.now = due, 0, 0.0

    def __call__(self) -> float:
        return self.now

    def count(self, *_: object) -> None:
        """A hook before the model."""
        self.passes += 1
        self.now += INTERVAL if self.passes in self.due else 0


EVERY_STEP = range(1, 100)


def full_above(most: int, failures: list[int]) -> Callable[..., None]:
    """A hook before a model that lets memory run out in passes of more than `most` examples."""

    def hook(_: object, args: tuple, kwargs: dict) -> None:
        size = len(kwargs["input_ids"])
        if size > most:
            failures.append(size)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return hook


def train_in(
    place: Path,
    dropout: float = 0.1,
    slow: float = 0.0,
    most: int = 0,
    failures: list[int] | None = None,
    states: Collection[int] = (),
    recipe: Recipe = RECIPE,
    on_keep: Callable[[int], object] = lambda step: None,
) -> pa.Table:
    failures = [] if failures is None else failures
    clock = PassClock(states)
    torch.set_num_threads(1)

    def model() -> GPT2LMHeadModel:
        made = new_model(SETTINGS, TOKENIZER, seed=1)
        for module in made.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = dropout
        made.register_forward_pre_hook(clock.count)
        if slow:
            made.register_forward_pre_hook(lambda *_: time.sleep(slow))
        if most:
            made.register_forward_pre_hook(full_above(most, failures), with_kwargs=True)
        return made

    def keep(step: int, folder: Path) -> None:
        publish(folder, published(place, step))
        on_keep(step)

    n_rows = recipe.steps * recipe.batch
    rows = np.random.default_rng(0).integers(4, 24, (n_rows, 10))
    examples = Examples(rows, rows, np.full(n_rows, 10), np.arange(n_rows))
    folder = folder_in(place)
    return train(model, TOKENIZER, examples, recipe, 3, folder, keep, clock)


def test_a_step_that_does_not_fit_is_split_and_the_training_is_the_same(tmp_path: Path) -> None:
    whole, failures = train_in(tmp_path / "whole", dropout=0.0), []
    split = train_in(tmp_path / "split", dropout=0.0, most=1, failures=failures)
    assert failures == [4, 2]
    assert split["step"].equals(whole["step"]) and split["tokens"].equals(whole["tokens"])
    assert split["loss"].to_numpy() == pytest.approx(whole["loss"].to_numpy(), rel=1e-4)
    for step in RECIPE.checkpoints:
        found, wanted = (
            load_file(published(tmp_path / name, step) / "model.safetensors")
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


class Killed(BaseException):
    """Ends a training where a test wants it."""


def kill_at(step: int) -> Callable[[int], None]:
    def end(reached: int) -> None:
        if reached == step:
            raise Killed

    return end


def begun(place: Path, states: Collection[int]) -> TrainingFolder:
    """The folder of a training that was killed as it kept step 12.

    Args:
        place: where it trains.
        states: the steps after which a state was due.
    """
    with pytest.raises(Killed):
        train_in(place, states=states, on_keep=kill_at(12))
    return folder_in(place)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training has left whose last state is that of step 9, with weights of its own."""
    place = tmp_path_factory.mktemp("interrupted")
    assert begun(place, states=[3, 9]).newest_step() == 9
    return place


def ends_like(undisturbed: tuple[Path, pa.Table], place: Path, table: pa.Table) -> None:
    """Assert that a training has ended with the table and the bytes of the undisturbed one."""
    assert table.drop(["seconds"]).equals(undisturbed[1].drop(["seconds"]))
    assert bytes_of(place / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")


def test_a_state_is_gone_on_from(
    undisturbed: tuple[Path, pa.Table],
    interrupted: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Path(shutil.copytree(interrupted, tmp_path / "place"))
    shutil.rmtree(place / "checkpoints")
    kept: list[int] = []
    seen = folder_in(place).checkpoint(8) / "model.safetensors"
    table = train_in(place, on_keep=kept.append)
    assert kept == [0, 5, 8, 12]
    assert published(place, 8).joinpath("model.safetensors").stat().st_ino == seen.stat().st_ino
    assert not caplog.records
    ends_like(undisturbed, place, table)


@pytest.mark.parametrize("damage", [flip, halve, Path.unlink])
@pytest.mark.parametrize(
    "file",
    [
        "state-000009/model/model.safetensors",
        "state-000009/optimizer.safetensors",
        "state-000009/generators.safetensors",
        "state-000009/rows.json",
        "state-000009/checksums.json",
        "step-000005/model.safetensors",
        "step-000008/config.json",
    ],
)
def test_a_damaged_state_is_reported_and_the_training_starts_over(
    undisturbed: tuple[Path, pa.Table],
    interrupted: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    damage: Callable[[Path], None],
) -> None:
    place = Path(shutil.copytree(interrupted, tmp_path / "place"))
    damage(folder_in(place).path / file)
    table = train_in(place)
    (message,) = caplog.messages
    assert str((folder_in(place).path / file).parent) in message
    assert message.endswith("the training starts over")
    ends_like(undisturbed, place, table)


@pytest.mark.parametrize("step", range(1, 12))
def test_a_training_resumes_from_a_state_of_any_step(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path, step: int
) -> None:
    folder = begun(tmp_path, states=[step])
    assert folder.newest_step() == step
    # Where a checkpoint has just been kept, its weights are not written a second time.
    assert (folder.state(step) / "model").is_dir() == (step not in RECIPE.checkpoints)
    ends_like(undisturbed, tmp_path, train_in(tmp_path))


def test_a_training_that_takes_no_time_writes_no_state(tmp_path: Path) -> None:
    assert begun(tmp_path, states=[]).newest_step() == -1


def test_a_training_whose_folder_is_removed_meanwhile_ends_with_the_same_bytes(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    """As when another process, that was ahead, has finished the same training."""

    def finish(step: int) -> None:
        if step in (0, 8):
            folder_in(tmp_path).finish()

    table = train_in(tmp_path, states=EVERY_STEP, on_keep=finish)
    ends_like(undisturbed, tmp_path, table)


def test_a_state_without_its_checkpoints_starts_over(
    undisturbed: tuple[Path, pa.Table],
    interrupted: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The state of a training that was killed after another process had finished the same."""
    place = Path(shutil.copytree(interrupted, tmp_path / "place"))
    shutil.rmtree(folder_in(place).checkpoint(5))
    ends_like(undisturbed, place, train_in(place))
    assert "the training starts over" in caplog.text


def test_two_that_train_the_same_at_once_both_end_with_the_same_bytes(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    """They share a folder in the store; each publishes what it has trained itself."""
    context = multiprocessing.get_context("fork")
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
        (place / "store").symlink_to(tmp_path, target_is_directory=True)
    processes = [
        context.Process(target=train_and_finish, args=(place, slow))
        for place, slow in zip(places, (0.0, 0.02), strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for place in places:
        assert bytes_of(place / "checkpoints") == bytes_of(undisturbed[0] / "checkpoints")
    assert not folder_in(places[0]).path.exists()


def train_and_finish(place: Path, slow: float) -> None:
    train_in(place, slow=slow, states=EVERY_STEP)
    folder_in(place).finish()


@pytest.mark.parametrize("seen", ["state-*", "step-000005", "step-000008"])
def test_a_killed_training_ends_with_the_bytes_of_an_undisturbed_one(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path, seen: str
) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=train_in,
        args=(tmp_path,),
        kwargs={"slow": 0.05, "states": EVERY_STEP},
    )
    process.start()
    deadline = time.monotonic() + 60
    while not list(folder_in(tmp_path).path.glob(seen)) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not published(tmp_path, 12).exists()
    ends_like(undisturbed, tmp_path, train_in(tmp_path))


def test_the_state_holds_no_pickle(interrupted: Path) -> None:
    files = [path for path in folder_in(interrupted).path.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}


@pytest.mark.parametrize(("warmup", "decay"), [(0, 0), (2, 3), (5, 7), (0, 12)])
def test_the_schedule_is_that_of_transformers(warmup: int, decay: int) -> None:
    recipe = replace(RECIPE, warmup=warmup, decay=decay)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=recipe.learning_rate)
    schedule = get_wsd_schedule(
        optimizer, warmup, decay, num_training_steps=recipe.steps, decay_type="linear"
    )
    for step in range(recipe.steps):
        assert recipe.rate(step) == schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_weights_decay_as_in_transformers(architecture: str) -> None:
    model = random_model(ARCHITECTURES[architecture]())
    forbidden = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
    names = set(get_parameter_names(model, [torch.nn.LayerNorm], forbidden))
    decaying = {id(value) for name, value in model.named_parameters() if name in names}
    group, others = _optimizer(model, RECIPE).param_groups
    assert {id(value) for value in group["params"]} == decaying
    assert others["weight_decay"] == 0 and len(others["params"]) > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_where_labels_are_is_that_of_all_logits(architecture: str) -> None:
    model = random_model(ARCHITECTURES[architecture]()).eval()
    random = np.random.default_rng(0)
    tokens = random.integers(4, 12, (6, 9))
    lengths = np.array([9, 7, 8, 9, 7, 5])
    labels = np.full_like(tokens, IGNORED)
    for row, length in enumerate(lengths):
        labels[row, length - 1] = tokens[row, length - 1]
    (batch,) = Examples(tokens, labels, lengths, np.arange(6)).batches(6, start=0)
    computed: list[torch.Size] = []
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda _, inputs, __: computed.append(inputs[0].shape))
    loss = _loss(model, batch)
    assert computed[0][:2] == (6, 4), "logits of other positions than the four with labels"
    logits = model(input_ids=batch.tokens, attention_mask=batch.mask).logits
    wanted = sum(
        functional.cross_entropy(logits[row, length - 2], torch.tensor(tokens[row, length - 1]))
        for row, length in enumerate(lengths)
    )
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-5)


def test_bfloat16_trains_float32_weights_to_nearly_the_same(
    undisturbed: tuple[Path, pa.Table], tmp_path: Path
) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=train_in_bfloat16, args=(tmp_path,)
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    found, wanted = (
        load_file(published(place, 12) / "model.safetensors")["transformer.h.0.attn.c_attn.weight"]
        for place in (tmp_path, undisturbed[0])
    )
    assert found.dtype == torch.float32
    assert 0 < (found - wanted).abs().max() < 0.05


def train_in_bfloat16(place: Path) -> None:
    AcceleratorState._reset_state()  # accelerate allows one precision in a process
    train_in(place, recipe=replace(RECIPE, dtype="bfloat16"))


def test_the_loss_lies_on_the_answer_alone(tmp_path: Path) -> None:
    spec = load_spec(Path(__file__).parents[3] / "tasks" / "ioi3.yaml")
    path = tmp_path / "train.parquet"
    write_datasets(spec, 0, {"train": path})
    tokenizer, table = word_tokenizer(spec.words()), read_dataset(path).slice(0, 20)
    examples = answer_examples(table, tokenizer, path, np.array([3, 0, 3]))
    assert examples.order.tolist() == [3, 0, 3]
    for row, length in enumerate(examples.lengths):
        text = f"{table['prompt'][row]} {table['answer'][row]}"
        assert examples.tokens[row, :length].tolist() == tokenizer(text)["input_ids"]
        (labelled,) = np.nonzero(examples.labels[row] != IGNORED)
        assert labelled.tolist() == [length - 1]
        assert tokenizer.decode(examples.labels[row, labelled]) == str(table["answer"][row])


def test_batches_come_in_order_and_are_as_long_as_their_longest_example() -> None:
    lengths = np.array([3, 5, 2])
    rows = np.arange(18).reshape(3, 6)
    examples = Examples(rows, rows, lengths, np.array([2, 0, 1, 1]))
    first, second = examples.batches(2, start=0)
    assert first.tokens.tolist() == [rows[2, :3].tolist(), rows[0, :3].tolist()]
    assert first.mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert first.targets[1].tolist() == [1, 2, IGNORED]
    assert second.tokens.shape == (2, 5)
    (later,) = examples.batches(2, start=2)
    assert torch.equal(later.tokens, second.tokens)


def test_every_prompt_is_seen_once_before_any_is_seen_twice() -> None:
    rows = drawn_rows(10, 25, np.random.default_rng(0))
    assert sorted(rows[:10]) == sorted(rows[10:20]) == list(range(10))
    assert len(rows) == 25 and len({*rows[20:].tolist()}) == 5
