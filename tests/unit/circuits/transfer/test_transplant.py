"""Heads moved between checkpoints: equal to swapping their outputs by the model's own hooks."""

from functools import partial

import numpy as np
import pytest
import torch
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model, random_prompts
from torch import Tensor
from transformers import PretrainedConfig

from timelapse.circuits.architecture import graph_shape
from timelapse.circuits.transfer.guests import Place
from timelapse.circuits.transfer.transplant import transplants
from timelapse.models.measure import logit_difference
from timelapse.tables import COMPARISON

PROMPTS = [random_prompts(3, length=6), random_prompts(2, length=8)]
HOST = Place(0, "hard", PROMPTS, (), resamples=200, seed=0)


def swap_head(activation: Tensor, hook: object, head: int, result: Tensor) -> Tensor:
    swapped = activation.clone()
    swapped[:, :, head] = result[:, :, head]
    return swapped


@pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), neox_config()], ids=["gpt2", "llama", "neox"]
)
def test_a_transplant_swaps_what_a_head_adds_to_the_stream(
    boot: Boot, config: PretrainedConfig
) -> None:
    host = boot(random_model(config, dtype=torch.float64))
    donor = boot(random_model(config, dtype=torch.float64, seed=1))
    shape = graph_shape(host)
    table = transplants(host, donor, 8, shape, HOST, batch_size=4)
    totals = np.zeros(2 + shape.n_layers * shape.n_heads)
    for prompts in PROMPTS:
        runs = [host(prompts.tokens), donor(prompts.tokens)]
        for bridge in (host, donor):
            bridge.set_use_attn_result(True)
        _, cache = donor.run_with_cache(prompts.tokens)
        for layer in range(shape.n_layers):
            name = f"blocks.{layer}.attn.hook_result"
            for head in range(shape.n_heads):
                swap = partial(swap_head, head=head, result=cache[name])
                runs.append(host.run_with_hooks(prompts.tokens, fwd_hooks=[(name, swap)]))
        for bridge in (host, donor):
            bridge.set_use_attn_result(False)
        totals += [
            logit_difference(logits[:, -1], prompts.answer, prompts.foils).sum().item()
            for logits in runs
        ]
    expected = (totals[2:] - totals[0]) / (totals[1] - totals[0])
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(table["value"], expected, rtol=1e-4)


def test_the_one_head_that_differs_brings_everything(boot: Boot) -> None:
    config = gpt2_config()
    host, other = random_model(config), random_model(config)
    with torch.no_grad():
        other.transformer.h[1].attn.c_proj.weight[8:] *= -2
    host, donor = boot(host), boot(other)
    table = transplants(host, donor, 8, graph_shape(host), HOST, batch_size=100)
    assert table.schema == COMPARISON
    names = ["a0.h0", "a0.h1", "a1.h0", "a1.h1"]
    assert table["measure"].to_pylist() == [f"head_transplant:{name}" for name in names]
    for column in ("value", "ci_low", "ci_high"):
        np.testing.assert_allclose(table[column], [0, 0, 0, 1], atol=1e-4)
    assert set(table["step_a"].to_pylist()) == {0}
    assert set(table["step_b"].to_pylist()) == {8}
    assert table["null_mean"].null_count == 4


def test_between_equal_checkpoints_there_is_nothing_to_tell(boot: Boot) -> None:
    host = boot(random_model(gpt2_config()))
    table = transplants(host, host, 8, graph_shape(host), HOST, batch_size=100)
    assert table["value"].null_count == table["ci_low"].null_count == 4
