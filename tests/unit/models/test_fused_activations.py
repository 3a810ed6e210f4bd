"""Activation functions in one step: the same numbers."""

import pytest
import torch
from tiny_models import Boot, gpt2_config, random_model
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation

from timelapse.models.loading import fused_activations


def spelt_out(model: PreTrainedModel) -> list[torch.nn.Module]:
    return [module for module in model.modules() if type(module) is NewGELUActivation]


def test_a_fused_activation_is_the_same_function_and_is_taken_back(boot: Boot) -> None:
    bridge = boot(random_model(gpt2_config()))
    (first, *_) = spelt_out(bridge.original_model)
    x = torch.linspace(-5, 5, 101)
    before = first(x)
    with fused_activations(bridge):
        assert all("forward" in vars(module) for module in spelt_out(bridge.original_model))
        torch.testing.assert_close(first(x), before, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(first(x), before, rtol=0, atol=0)


def test_an_error_takes_the_activation_back_too(boot: Boot) -> None:
    bridge = boot(random_model(gpt2_config()))
    with pytest.raises(RuntimeError, match="on the way"), fused_activations(bridge):
        raise RuntimeError("on the way")
    assert not any("forward" in vars(module) for module in spelt_out(bridge.original_model))
