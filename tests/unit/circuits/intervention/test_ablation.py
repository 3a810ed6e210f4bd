"""The reference activations: what sources write there, computed by hand."""

import pytest
import torch
from tiny_models import Boot, gpt2_config, neox_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2LMHeadModel, PretrainedConfig

from timelapse.circuits.intervention.ablation import mean, reference_batches, zero
from timelapse.circuits.intervention.forward import circuit_values
from timelapse.circuits.model_check import graph_shape
from timelapse.models import hooks
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prompts import Prompts


def one_head_model() -> GPT2LMHeadModel:
    """One head that averages the positions and doubles them, no MLP, norms that change nothing.

    The logit difference of words is u.(last + 2 mean) with u = (-1, 0, 2, 0).
    """
    model = GPT2LMHeadModel(
        gpt2_config(
            n_embd=4, n_layer=1, n_head=1, layer_norm_epsilon=1e12, tie_word_embeddings=False
        )
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        block = model.transformer.h[0]
        for norm in (block.ln_1, block.ln_2, model.transformer.ln_f):
            norm.weight.fill_(1e6)
        block.attn.c_attn.weight[:, 8:] = torch.eye(4)
        block.attn.c_proj.weight.copy_(2 * torch.eye(4))
        model.transformer.wte.weight[5] = torch.tensor([1.0, -1.0, 0.0, 0.0])
        model.transformer.wte.weight[6] = torch.tensor([0.0, 0.0, 2.0, -2.0])
        model.lm_head.weight[7] = torch.tensor([0.0, 0.0, 2.0, 0.0])
        model.lm_head.weight[8] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return model


PROMPTS = Prompts(
    rows=torch.arange(2).numpy(),
    tokens=torch.tensor([[5, 5, 5], [5, 5, 5]]),
    answer=torch.tensor([7, 7]),
    foils=torch.tensor([[8], [8]]),
    corrupted={"other": torch.tensor([[6, 5, 5], [5, 5, 6]])},
    positions={},
)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        # u.word5 = -1, u.word6 = 4. The mean corrupted run: u.input = (1.5, -1, 1.5), and u.head
        # = 2 mean over positions = 4/3 at the last one.
        ([], [1.5 + 4 / 3] * 2),
        ([("input", "logits")], [-1 + 4 / 3] * 2),
        ([("a0.h0", "logits")], [1.5 + 4 / 3] * 2),
        ([("a0.h0", "logits"), ("input", "a0.h0<v>")], [1.5 - 2] * 2),
        ([("input", "logits"), ("a0.h0", "logits"), ("input", "a0.h0<v>")], [-1.0 - 2.0] * 2),
    ],
)
def test_mean_ablation_computed_by_hand(
    boot: Boot, kept: list[tuple[str, str]], expected: list[float]
) -> None:
    bridge = boot(one_head_model())
    shape = graph_shape(bridge)
    circuit = torch.tensor([[(s.name, t.name) in kept for s, t in shape.edges]])
    assert circuit.sum() == len(kept)
    ablation = mean(bridge, shape, [PROMPTS], "other")
    found = circuit_values(bridge, shape, PROMPTS, ablation, circuit, LOGIT_DIFF)
    torch.testing.assert_close(found, torch.tensor([expected]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([], 0.0),
        ([("input", "logits")], -1.0),
        ([("a0.h0", "logits"), ("input", "a0.h0<v>")], -2.0),
    ],
)
def test_zero_ablation_computed_by_hand(
    boot: Boot, kept: list[tuple[str, str]], expected: float
) -> None:
    bridge = boot(one_head_model())
    shape = graph_shape(bridge)
    circuit = torch.tensor([[(s.name, t.name) in kept for s, t in shape.edges]])
    found = circuit_values(
        bridge, shape, PROMPTS, zero(bridge, shape, PROMPTS), circuit, LOGIT_DIFF
    )
    torch.testing.assert_close(found, torch.tensor([[expected] * 2]), rtol=1e-5, atol=1e-5)


def test_the_mean_does_not_depend_on_how_prompts_are_batched(gpt2: TransformerBridge) -> None:
    bucket, shape = random_prompts(7, length=6), graph_shape(gpt2)
    references = [
        [ablation for _, ablation in reference_batches(gpt2, shape, bucket, "swap", "mean", size)]
        for size in (7, 3)
    ]
    assert [len(found) for found in references] == [1, 3]
    whole = references[0][0]
    _, cache = gpt2.run_with_cache(bucket.corrupted["swap"])
    for name, activation in whole.activations.items():
        assert activation.std() > 0.1
        torch.testing.assert_close(activation[0], cache[name].mean(0), rtol=1e-5, atol=1e-5)
        for part in references[1]:
            torch.testing.assert_close(part[name], activation, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", [gpt2_config(), neox_config()], ids=["gpt2", "neox"])
def test_under_zero_ablation_the_biases_of_the_attentions_are_left(
    boot: Boot, config: PretrainedConfig
) -> None:
    bridge = boot(random_model(config))
    shape = graph_shape(bridge)
    world = zero(bridge, shape, random_prompts(2, length=6))
    first, second = (bridge.blocks[layer].attn.b_O for layer in range(2))
    assert min(first.abs().max(), second.abs().max()) > 0.1
    assert not world[hooks.resid_pre(0)].any()
    assert not world[hooks.mlp_out(1)].any()
    entered = torch.zeros_like(first) if shape.parallel else first
    for name, expected in {
        hooks.mlp_norm_in(0): entered,
        hooks.resid_pre(1): first,
        hooks.mlp_norm_in(1): first if shape.parallel else first + second,
        hooks.resid_post(1): first + second,
    }.items():
        torch.testing.assert_close(world[name], expected.expand(1, 6, -1))
