"""Heads moved between checkpoints: equal to swapping their outputs by the model's own hooks."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model, random_prompts
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.circuits.cross_checkpoint import EvaluationSite
from timelapse.circuits.head_transplant import transplants
from timelapse.circuits.model_check import graph_shape
from timelapse.models.metric import LOGIT_DIFF, logit_difference
from timelapse.tables import COMPARISON

PROMPTS = [random_prompts(3, length=6), random_prompts(2, length=8)]
HOST = EvaluationSite(0, "hard", PROMPTS, (), LOGIT_DIFF, resamples=200, seed=0)


def told_apart(host: TransformerBridge, donor: TransformerBridge) -> EvaluationSite:
    """The answers are the words that the donor finds likelier than the host does, by the most."""
    prompts = []
    for bucket in PROMPTS:
        rise = donor(bucket.tokens)[:, -1] - host(bucket.tokens)[:, -1]
        words = rise.argsort(-1, descending=True)
        prompts.append(replace(bucket, answer=words[:, 0], foils=words[:, -2:]))
    return replace(HOST, prompts=prompts)


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
    site = told_apart(host, donor)
    table = transplants(host, donor, 8, shape, site, batch_size=4)
    totals = np.zeros(2 + shape.n_layers * shape.n_heads)
    for prompts in site.prompts:
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
    site = told_apart(host, donor)
    table = transplants(host, donor, 8, graph_shape(host), site, batch_size=100)
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


def test_a_difference_that_other_prompts_may_turn_round_tells_nothing(boot: Boot) -> None:
    """The donor finds the answers likelier on half of the prompts, and less likely on the rest."""
    host, donor = (boot(random_model(gpt2_config(), seed=seed)) for seed in (0, 1))
    surely = told_apart(host, donor)
    turned = [
        replace(bucket, answer=bucket.foils[:, 0], foils=bucket.answer[:, None].repeat(1, 2))
        for bucket in surely.prompts
    ]
    mixed = replace(surely, prompts=[*surely.prompts, *turned])
    shape = graph_shape(host)
    found = [transplants(host, donor, 8, shape, site, 100) for site in (surely, mixed)]
    assert [table["value"].null_count for table in found] == [0, 4]
    assert [table["ci_high"].null_count for table in found] == [0, 4]
