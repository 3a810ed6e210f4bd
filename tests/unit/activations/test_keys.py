"""Keys: every ingredient counts, and where things lie does not."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_models import WORDS, gpt2_config, llama_config, random_model
from transformers import PreTrainedModel

from timelapse.activations.keys import block_key, checkpoint_digest
from timelapse.errors import UserError
from timelapse.models.checkpoints import save_checkpoint
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import load_model, load_tokenizer

TOKENS = torch.arange(6).reshape(2, 3)
INGREDIENTS = {
    "checkpoint": "digest",
    "tokens": TOKENS,
    "computed": torch.float32,
    "kept": torch.float32,
    "device": "cpu",
}


def saved(model: PreTrainedModel, folder: Path) -> Path:
    save_checkpoint(model, word_tokenizer(WORDS), folder)
    return folder


@pytest.mark.parametrize(
    ("ingredient", "other"),
    [
        ("checkpoint", "other"),
        ("tokens", TOKENS + 1),
        ("tokens", TOKENS.reshape(3, 2)),
        ("tokens", TOKENS.flip(0)),
        ("computed", torch.bfloat16),
        ("kept", torch.float16),
        ("device", "cuda"),
    ],
)
def test_every_ingredient_changes_the_key(ingredient: str, other: object) -> None:
    key = block_key(**INGREDIENTS)
    assert block_key(**INGREDIENTS) == key
    assert block_key(**{**INGREDIENTS, ingredient: other}) != key


def test_the_code_that_makes_activations_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = block_key(**INGREDIENTS)
    monkeypatch.setattr("timelapse.activations.keys._code", lambda: ["other"])
    assert block_key(**INGREDIENTS) != before


def test_a_checkpoint_is_known_by_its_content_and_not_by_its_path(tmp_path: Path) -> None:
    first = saved(random_model(gpt2_config()), tmp_path / "first")
    moved = Path(shutil.copytree(first, tmp_path / "elsewhere" / "step-000008"))
    other = saved(random_model(gpt2_config(), seed=1), tmp_path / "other")
    assert checkpoint_digest(first) == checkpoint_digest(moved) != checkpoint_digest(other)


def test_one_bit_of_a_weight_changes_the_digest(tmp_path: Path) -> None:
    folder = saved(random_model(gpt2_config()), tmp_path / "model")
    before = checkpoint_digest(folder)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=f"{weights}: the file is damaged"):
        checkpoint_digest(folder)
    (folder / "checksums.json").unlink()
    assert checkpoint_digest(folder) != before


def test_the_same_weights_in_another_architecture_are_another_model(tmp_path: Path) -> None:
    folder = saved(random_model(llama_config()), tmp_path / "model")
    before = checkpoint_digest(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    (folder / "checksums.json").unlink()
    assert checkpoint_digest(folder) != before


def test_the_base_model_and_the_step_0_that_is_saved_from_it_are_one_model(tmp_path: Path) -> None:
    base = saved(random_model(gpt2_config()), tmp_path / "models" / "base")
    model = load_model(base, "cpu")
    model.config.pad_token_id = 0
    step_0 = tmp_path / "runs" / "run" / "step-000000"
    save_checkpoint(model, load_tokenizer(base), step_0)
    assert (base / "config.json").read_text() != (step_0 / "config.json").read_text()
    assert checkpoint_digest(base) == checkpoint_digest(step_0)
