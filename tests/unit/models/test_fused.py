"""Activation functions in one step, and the measure without logits: the same numbers."""

import pytest
import torch
from tiny_models import ARCHITECTURES, Boot, gpt2_config, random_model, random_prompts
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation

from timelapse.models.fused_optimizer import fused_activations
from timelapse.models.hooks import Recorder
from timelapse.models.metric import last_logits, logit_difference, logit_difference_of_stream


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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_measure_of_a_stream_is_that_of_its_logits(boot: Boot, architecture: str) -> None:
    bridge = boot(random_model(ARCHITECTURES[architecture]()))
    prompts = random_prompts(3, length=6)
    recorder = Recorder()
    with bridge.hooks(fwd_hooks=[recorder.keep("blocks.1.hook_resid_post")]):
        logits = last_logits(bridge, prompts.tokens)
    expected = logit_difference(logits, prompts.answer, prompts.foils)
    stream = recorder["blocks.1.hook_resid_post"][:, -1]
    found = logit_difference_of_stream(bridge, stream, prompts.answer, prompts.foils)
    assert expected.abs().min() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
