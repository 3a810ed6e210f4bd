"""Norms taken back by hand: the same gradients as autograd's."""

import pytest
import torch
from tiny_models import Boot, gpt2_config, llama_config, random_model
from transformers import GemmaConfig, PretrainedConfig

from timelapse.models.norms import Norm

GEMMA = GemmaConfig(
    vocab_size=30,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
    head_dim=8,
    bos_token_id=1,
    eos_token_id=1,
    pad_token_id=1,
)


@pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), GEMMA], ids=["layernorm", "rmsnorm", "offset"]
)
def test_the_norm_is_that_of_the_model(boot: Boot, config: PretrainedConfig) -> None:
    component = boot(random_model(config)).ln_final
    x = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(0))
    expected = component(x)
    assert (expected - x).abs().max() > 0.1
    torch.testing.assert_close(Norm.of(component, torch.float32)(x), expected)


@pytest.mark.parametrize("config", [gpt2_config(), llama_config()], ids=["layernorm", "rmsnorm"])
def test_with_its_scale_frozen_the_norm_is_affine(boot: Boot, config: PretrainedConfig) -> None:
    component = boot(random_model(config)).ln_final
    norm = Norm.of(component, torch.float32)
    generator = torch.Generator().manual_seed(0)
    x, reader = torch.randn(2, 4, 16, generator=generator)
    centred = x - x.mean(-1, keepdim=True) * norm.centred
    scale = (centred.square().mean(-1, keepdim=True) + component.config.eps).sqrt()
    constant = 0 if norm.bias is None else (reader * norm.bias).sum(-1)
    read = (norm.frozen_pullback(reader, scale) * x).sum(-1) + constant
    torch.testing.assert_close(read, (component(x) * reader).sum(-1), rtol=1e-5, atol=1e-5)
