"""Models whose graph is another are refused, with the reason."""

import pytest
from tiny_models import Boot, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import Gemma2Config, GPTJConfig

from timelapse.circuits.model_check import graph_of
from timelapse.errors import UserError
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prefix_cache import Prefix


def test_a_model_whose_graph_is_another_is_refused(boot: Boot) -> None:
    sizes = {"vocab_size": 30, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    prompts = random_prompts(2, length=6)
    normed_outputs = Gemma2Config(
        **sizes,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    with pytest.raises(UserError, match="does not add up to the stream"):
        graph_of(boot(random_model(normed_outputs)), [prompts], "swap", LOGIT_DIFF)
    one_norm_for_both = GPTJConfig(**sizes, n_embd=16, n_layer=1, n_head=2, rotary_dim=4)
    with pytest.raises(UserError, match="block 0 has no ln2"):
        graph_of(boot(random_model(one_norm_for_both)), [prompts], "swap", LOGIT_DIFF)


def test_a_model_that_does_more_to_its_logits_than_unembed_them_is_refused(
    gpt2: TransformerBridge,
) -> None:
    prompts = random_prompts(2, length=6)
    assert graph_of(gpt2, [prompts], "swap", LOGIT_DIFF).n_layers == 2
    scaled = gpt2.unembed.original_component.register_forward_hook(lambda *run: 2 * run[-1])
    with pytest.raises(UserError, match="its logits are not the unembedding of its final norm"):
        graph_of(gpt2, [prompts], "swap", LOGIT_DIFF)
    scaled.remove()


def test_a_model_that_does_not_go_on_from_keys_and_values_is_refused(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here what it goes on from is wrong; in a model it would be what it makes of it."""
    shared = Prefix.shared

    def spoilt(*inputs: object) -> Prefix:
        prefix = shared(*inputs)
        return Prefix(prefix.length, tuple((-keys, values) for keys, values in prefix.kept))

    monkeypatch.setattr(Prefix, "shared", spoilt)
    with pytest.raises(UserError, match="do not follow from what earlier ones leave"):
        graph_of(gpt2, [random_prompts(2, length=6)], "swap", LOGIT_DIFF)
