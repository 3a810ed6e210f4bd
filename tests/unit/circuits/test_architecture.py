"""Models whose graph is another are refused, with the reason."""

import pytest
from tiny_models import Boot, random_model, random_prompts
from transformers import Gemma2Config, GPTJConfig

from timelapse.circuits.architecture import graph_of
from timelapse.errors import UserError


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
        graph_of(boot(random_model(normed_outputs)), [prompts], "swap")
    one_norm_for_both = GPTJConfig(**sizes, n_embd=16, n_layer=1, n_head=2, rotary_dim=4)
    with pytest.raises(UserError, match="block 0 has no ln2"):
        graph_of(boot(random_model(one_norm_for_both)), [prompts], "swap")
