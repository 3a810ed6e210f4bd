"""Loading checkpoints: one module, the weights of each, for every family that is supported."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import WORDS, gpt2_config, llama_config, neox_config, random_model
from transformers import PretrainedConfig

from timelapse.errors import UserError
from timelapse.models.checkpoints import publish, save_checkpoint
from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import each_bridge, each_model, load_model
from timelapse.paths import step_folder

TOKENS = torch.arange(4, 12)[None]
FAMILIES = [gpt2_config(), llama_config(), neox_config()]


@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.model_type)
def test_every_checkpoint_gives_its_own_logits(config: PretrainedConfig, tmp_path: Path) -> None:
    models = [random_model(config, seed=seed) for seed in range(3)]
    folders = [step_folder(tmp_path, step) for step in range(3)]
    for model, folder in zip(models, folders, strict=True):
        save_checkpoint(model, word_tokenizer(WORDS), folder)
    with torch.no_grad():
        expected = [model(TOKENS).logits for model in models]
        plain = [model(TOKENS).logits for model in each_model(folders, "cpu")]
        bridged = [bridge(TOKENS) for bridge in each_bridge(folders, "cpu")]
    assert (expected[0] - expected[1]).abs().max() > 0.1
    for want, model_logits, bridge_logits in zip(expected, plain, bridged, strict=True):
        torch.testing.assert_close(model_logits, want)
        torch.testing.assert_close(bridge_logits, want, atol=1e-5, rtol=1e-5)


def test_a_published_folder_is_the_stored_one_byte_for_byte(tmp_path: Path) -> None:
    save_checkpoint(random_model(gpt2_config()), word_tokenizer(WORDS), tmp_path / "stored")
    publish(tmp_path / "stored", tmp_path / "results" / "step-000000")
    for file in (tmp_path / "stored").iterdir():
        published = tmp_path / "results" / "step-000000" / file.name
        assert published.read_bytes() == file.read_bytes()
        assert not published.is_symlink()


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    folder = tmp_path / "step-000008"
    save_checkpoint(random_model(gpt2_config()), word_tokenizer(WORDS), folder)
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "checksums.json").unlink()
    with pytest.raises(UserError, match=r"h\.1\.mlp\.c_fc\.weight"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("damage", ["missing", "config.json", "model.safetensors"])
def test_a_folder_that_is_no_whole_model_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "step-000008"
    if damage != "missing":
        save_checkpoint(random_model(gpt2_config()), word_tokenizer(WORDS), folder)
        (folder / "checksums.json").unlink()
        file = folder / damage
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError) as caught:
        load_model(folder, "cpu")
    assert caught.value.source == str(folder)
