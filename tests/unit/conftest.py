"""Fixtures of the unit tests: tiny models wrapped in TransformerLens' bridge."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from tiny_models import WORDS, Boot, gpt2_config, random_model
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel

from timelapse.models.embedded import word_tokenizer
from timelapse.models.loading import load_tokenizer


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Boot:
    """Wraps a model as the workflow does: raw weights, parameters without gradients."""
    folder = tmp_path_factory.mktemp("tokenizer")
    word_tokenizer(WORDS).save_pretrained(folder)

    def boot_model(model: PreTrainedModel) -> TransformerBridge:
        model.config.save_pretrained(folder)
        bridge = TransformerBridge.boot_transformers(
            str(folder), hf_model=model, tokenizer=load_tokenizer(folder), device="cpu"
        )
        bridge.requires_grad_(False)
        return bridge

    return boot_model


@pytest.fixture
def gpt2(boot: Boot) -> TransformerBridge:
    return boot(random_model(gpt2_config()))
