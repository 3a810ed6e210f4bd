"""Model folders of strangers: no code of theirs is run, no pickle of theirs is read."""

import json
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import WORDS, gpt2_config, random_model

from timelapse.errors import UserError
from timelapse.models.checkpoints import FILE, save_checkpoint
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import (
    each_bridge,
    fetch_folder,
    fetch_hub,
    load_model,
    load_tokenizer,
)


class Trap:
    """An object whose pickle makes a file when it is read."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sprung,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole model folder from elsewhere, without checksums."""
    save_checkpoint(random_model(gpt2_config()), word_tokenizer(WORDS), tmp_path / "given")
    (tmp_path / "given" / FILE).unlink()
    return tmp_path / "given"


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """The file that a trap makes; it must never be there."""
    return tmp_path / "sprung"


def edited(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def with_code(folder: Path, sprung: Path, file: str, **changes: Any) -> None:
    """Let a folder ask for a module of its own, which would make the file `sprung`."""
    folder.joinpath("strange.py").write_text(
        f"from pathlib import Path\nPath({str(sprung)!r}).touch()\n"
        "from transformers import GPT2Config as Config, GPT2LMHeadModel as Model\n"
        "from transformers import PreTrainedTokenizerFast as Tokenizer\n"
    )
    edited(folder / file, **changes)


AUTO_MAP = {"AutoConfig": "strange.Config", "AutoModelForCausalLM": "strange.Model"}


def test_code_beside_a_known_architecture_is_ignored(folder: Path, sprung: Path) -> None:
    with_code(folder, sprung, "config.json", auto_map=AUTO_MAP)
    load_model(folder, "cpu")
    list(each_bridge([folder], "cpu"))
    assert not sprung.exists()


def test_an_architecture_that_needs_code_of_its_own_is_refused(
    folder: Path, sprung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody sits at the terminal, who could be asked."""
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    with_code(folder, sprung, "config.json", auto_map=AUTO_MAP, model_type="strange")
    with pytest.raises(UserError, match=r"does not load .*custom code") as caught:
        load_model(folder, "cpu")
    assert caught.value.source == str(folder)
    assert not sprung.exists()


def test_a_tokenizer_with_code_of_its_own_does_not_run_it(folder: Path, sprung: Path) -> None:
    auto_map = {"AutoTokenizer": [None, "strange.Tokenizer"]}
    changes = {"auto_map": auto_map, "tokenizer_class": "Strange"}
    with_code(folder, sprung, "tokenizer_config.json", **changes)
    try:
        load_tokenizer(folder)
    except UserError as error:
        assert error.source == str(folder)
    assert not sprung.exists()


def test_weights_in_a_pickle_are_refused(folder: Path, tmp_path: Path) -> None:
    weights = random_model(gpt2_config()).state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="whole safetensors"):
        fetch_folder(str(folder), tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_pickles_beside_the_safetensors_are_neither_read_nor_copied(
    folder: Path, sprung: Path, tmp_path: Path
) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl"):
        (folder / name).write_bytes(pickle.dumps(Trap(sprung)))
    fetch_folder(str(folder), tmp_path / "fetched")
    assert not sprung.exists()
    names = {file.name for file in (tmp_path / "fetched").iterdir()}
    assert "model.safetensors" in names
    assert {Path(name).suffix for name in names} <= {".json", ".safetensors", ".jinja", ".txt"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "[]"),
        ("config.json", "{}"),
        ("config.json", '{"model_type": "gpt2", "n_head": "three"}'),
        ("config.json", '{"model_type": "gpt2", "n_embd": -4}'),
        ("config.json", '{"model_type": ["gpt2"]}'),
        ("tokenizer.json", "[]"),
        ("tokenizer.json", "{"),
        ("tokenizer_config.json", "[]"),
    ],
)
def test_descriptions_that_make_no_sense_are_told_in_one_error(
    folder: Path, file: str, content: str, tmp_path: Path
) -> None:
    (folder / file).write_text(content)
    with pytest.raises(UserError) as caught:
        fetch_folder(str(folder), tmp_path / "fetched")
    assert caught.value.source == str(folder)
    assert str(caught.value).isprintable()


def test_a_local_folder_is_loaded_without_any_connection(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection is opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    fetch_folder(str(folder), tmp_path / "fetched")
    list(each_bridge([tmp_path / "fetched"], "cpu"))


def test_a_name_on_the_hub_that_may_not_be_downloaded_is_told_with_what_to_do(
    tmp_path: Path,
) -> None:
    """The tests run with HF_HUB_OFFLINE=1, as does a user who has set it."""
    with pytest.raises(UserError, match="give it as `folder:`") as caught:
        fetch_hub("no/such-model-anywhere", tmp_path / "fetched")
    assert caught.value.source == "no/such-model-anywhere"
    assert not (tmp_path / "fetched").exists()
