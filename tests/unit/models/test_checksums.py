"""Model folders with checksums: damage is named before anything is read; folders without load."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import WORDS, gpt2_config, random_model

from timelapse.errors import UserError
from timelapse.models.checkpoints import checksums, save_checkpoint, verify
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import load_model, load_tokenizer

Damage = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(random_model(gpt2_config()), word_tokenizer(WORDS), tmp_path / "model")
    return tmp_path / "model"


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[2 * len(content) // 3] ^= 1
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def test_what_was_saved_is_sound_and_every_file_is_noted(folder: Path) -> None:
    verify(folder, required=True)
    assert checksums(folder).keys() == {path.name for path in folder.iterdir()} - {"checksums.json"}


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
@pytest.mark.parametrize(
    ("load", "name"),
    [
        (load_model, "model.safetensors"),
        (load_model, "config.json"),
        (load_tokenizer, "tokenizer.json"),
        (load_tokenizer, "config.json"),
    ],
)
def test_a_damaged_file_is_named_and_refused(
    folder: Path, load: Callable[..., object], name: str, damage: Damage
) -> None:
    damage(folder / name)
    with pytest.raises(UserError, match="Delete the folder and run again") as caught:
        load(folder, *(["cpu"] if load is load_model else []))
    assert caught.value.source == str(folder / name)


def test_weights_that_nobody_wrote_are_refused(folder: Path) -> None:
    (folder / "extra.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(
        UserError, match=r"extra\.safetensors: this file does not belong to the model"
    ):
        load_model(folder, "cpu")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"../x": "1"}', '{"config.json": 1}'])
def test_damaged_checksums_are_told(folder: Path, content: str) -> None:
    (folder / "checksums.json").write_text(content)
    with pytest.raises(UserError, match="the checksums are damaged"):
        load_model(folder, "cpu")


def test_a_folder_from_elsewhere_has_none_and_loads(folder: Path) -> None:
    (folder / "checksums.json").unlink()
    (folder / "notes.txt").write_text("mine")
    load_model(folder, "cpu")
    load_tokenizer(folder)


def test_a_tokenizer_that_does_not_load_is_one_message(folder: Path) -> None:
    (folder / "checksums.json").unlink()
    truncate(folder / "tokenizer.json")
    with pytest.raises(UserError, match="its tokenizer does not load"):
        load_tokenizer(folder)


def test_a_file_is_hashed_once_as_long_as_nobody_touches_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify(folder)
    monkeypatch.setattr("hashlib.file_digest", None)
    verify(folder)
    flip(folder / "model.safetensors")
    with pytest.raises(TypeError):
        verify(folder)
