"""Prefixes that runs have in common: going on from them is running the whole."""

import pytest
import torch
from tiny_models import ARCHITECTURES, Boot, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import MistralConfig

from timelapse.models.hooks import last_logits
from timelapse.models.prefix_cache import Prefix


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_going_on_from_a_prefix_is_running_the_whole(boot: Boot, architecture: str) -> None:
    bridge = boot(random_model(ARCHITECTURES[architecture]()))
    prompts = random_prompts(3, length=8, corrupted_from=4)
    tokens, corrupted = prompts.tokens, prompts.corrupted["swap"]
    prefix = Prefix.shared(bridge, tokens, corrupted)
    assert prefix.length == 4
    for each in (tokens, corrupted, tokens):
        whole = last_logits(bridge, each)
        assert whole.abs().max() > 1
        torch.testing.assert_close(prefix.run(bridge, each)[:, -1], whole, rtol=1e-4, atol=1e-5)


def test_a_window_of_attention_is_kept(boot: Boot) -> None:
    """Three tokens: less than the prefix."""
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 3}
    config = MistralConfig(vocab_size=30, bos_token_id=1, eos_token_id=1, **shape, **heads)
    bridge = boot(random_model(config))
    prompts = random_prompts(3, length=9, corrupted_from=6)
    prefix = Prefix.shared(bridge, prompts.tokens, prompts.corrupted["swap"])
    assert prefix.length == 6
    found = prefix.run(bridge, prompts.tokens)[:, -1]
    torch.testing.assert_close(found, last_logits(bridge, prompts.tokens), rtol=1e-4, atol=1e-5)


def test_copies_of_a_batch_have_copies_of_its_prefix(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(2, length=6, corrupted_from=3)
    prefix = Prefix.shared(gpt2, prompts.tokens, prompts.corrupted["swap"])
    once = prefix.run(gpt2, prompts.tokens)
    copies = prefix.repeated(3).run(gpt2, prompts.repeated(3).tokens)
    torch.testing.assert_close(copies, once.repeat(3, 1, 1))
    assert prompts.repeated(3).rows.tolist() == [0, 1] * 3


@pytest.mark.parametrize("corrupted_from", [0, None], ids=["all differs", "nothing differs"])
def test_nothing_is_shared_by_prompts_that_differ_at_once_or_not_at_all(
    gpt2: TransformerBridge, corrupted_from: int | None
) -> None:
    prompts = random_prompts(2, length=6, corrupted_from=corrupted_from or 0)
    others = prompts.tokens if corrupted_from is None else prompts.corrupted["swap"]
    prefix = Prefix.shared(gpt2, prompts.tokens, others)
    assert prefix.length == 0
    found = prefix.run(gpt2, prompts.tokens)[:, -1]
    torch.testing.assert_close(found, last_logits(gpt2, prompts.tokens))


def test_a_model_that_keeps_no_keys_and_values_shares_nothing(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(self: object, keys: torch.Tensor, values: torch.Tensor, **_: object) -> object:
        return keys, values

    monkeypatch.setattr(type(gpt2.blocks[0].attn), "_update_kv_cache", forgetful)
    prompts = random_prompts(2, length=6, corrupted_from=3)
    assert Prefix.shared(gpt2, prompts.tokens, prompts.corrupted["swap"]).length == 0
