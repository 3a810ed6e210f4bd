"""What the integrated gradients converge to as their steps grow, and what they do not.

By the fundamental theorem of calculus a node's summed scores go to the effect of patching that node
exactly: along inputs that holds for the input alone, along activations for every node. A single
edge's score goes to its share of such an integral. That is the effect of patching the edge exactly
where the edge is its node's only way out, or where the model is linear, but not in general.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from circuits.attribution.scoring import edge_scores, largest_difference, node_sums
from circuits.oracles import edge_effects, node_effects
from tiny_models import Boot, gpt2_config, neox_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel

from timelapse.circuits.model_check import graph_shape
from timelapse.models.hooks import last_logits
from timelapse.models.metric import logit_difference

PROMPTS = random_prompts(3, length=6)
CONFIGS = {"gpt2": gpt2_config, "neox": neox_config}


@pytest.fixture(scope="module", params=CONFIGS)
def bridge(request: pytest.FixtureRequest, boot: Boot) -> TransformerBridge:
    """A random model of two layers in float64."""
    return boot(random_model(CONFIGS[request.param](), seed=1, dtype=torch.float64))


def edge_errors(
    found: dict[tuple[str, str], float], expected: dict[tuple[str, str], float]
) -> np.ndarray:
    return np.array([abs(found[edge] - expected[edge]) for edge in expected])


@pytest.mark.slow
def test_along_inputs_the_edges_of_the_input_sum_to_the_whole_effect_of_the_corruption(
    bridge: TransformerBridge,
) -> None:
    tokens = (PROMPTS.tokens, PROMPTS.corrupted["swap"])
    clean, corrupted = (
        logit_difference(last_logits(bridge, each), PROMPTS.answer, PROMPTS.foils).mean().item()
        for each in tokens
    )
    effect = corrupted - clean
    assert abs(effect) > 1e-2
    errors = [
        abs(node_sums(edge_scores(bridge, PROMPTS, "EAP-IG", ig_steps=steps))["input"] - effect)
        for steps in (32, 64, 128)
    ]
    assert errors[0] < 0.02
    for coarse, fine in pairwise(errors):
        assert fine == pytest.approx(coarse / 2, rel=0.1)


@pytest.mark.slow
def test_along_activations_the_edges_of_every_node_sum_to_its_exact_effect(
    bridge: TransformerBridge,
) -> None:
    effects = node_effects(bridge, graph_shape(bridge), PROMPTS, "swap")
    errors = [
        largest_difference(
            node_sums(edge_scores(bridge, PROMPTS, "EAP-IG-activations", ig_steps=steps)), effects
        )
        for steps in (1, 8, 16, 32)
    ]
    assert errors[1] < 0.3 * errors[0]
    assert errors[2] == pytest.approx(errors[1] / 2, rel=0.2)
    assert errors[3] == pytest.approx(errors[2] / 2, rel=0.1)


@pytest.mark.slow
def test_along_inputs_other_nodes_keep_an_error(bridge: TransformerBridge) -> None:
    """The path is that of the inputs: on it the other nodes do not go from clean to corrupted."""
    effects = node_effects(bridge, graph_shape(bridge), PROMPTS, "swap")
    scores = (edge_scores(bridge, PROMPTS, "EAP-IG", ig_steps=steps) for steps in (32, 64))
    coarse, fine = map(node_sums, scores)
    del effects["input"], coarse["input"], fine["input"]
    assert largest_difference(fine, coarse) < 0.3 * largest_difference(fine, effects)


def test_an_edge_that_is_its_nodes_only_way_out_goes_to_exact_edge_patching(
    bridge: TransformerBridge,
) -> None:
    edge = ("m1", "logits")
    effect = edge_effects(bridge, graph_shape(bridge), PROMPTS, "swap")[edge]
    errors = [
        abs(edge_scores(bridge, PROMPTS, "EAP-IG-activations", ig_steps=steps)[edge] - effect)
        for steps in (1, 8, 16)
    ]
    assert errors[0] > 1e-2
    assert errors[1] < 0.25 * errors[0]
    assert errors[2] == pytest.approx(errors[1] / 2, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["EAP-IG", "EAP-IG-activations"])
def test_edges_come_nearer_to_exact_edge_patching_than_by_one_gradient_but_keep_an_error(
    boot: Boot, method: str
) -> None:
    """The mean error over all edges of GPT-2s: within a few steps it is at its limit."""
    falls = []
    for seed in range(5):
        bridge = boot(random_model(gpt2_config(), seed=seed, dtype=torch.float64))
        effects = edge_effects(bridge, graph_shape(bridge), PROMPTS, "swap")
        errors = [
            edge_errors(edge_scores(bridge, PROMPTS, method, ig_steps=steps), effects).mean()
            for steps in (1, 16, 32)
        ]
        assert errors[1] > 1e-3
        assert errors[2] == pytest.approx(errors[1], rel=0.1)
        falls.append(errors[2] / errors[0])
    assert np.mean(falls) < 0.9


def linear_model() -> PreTrainedModel:
    """A random GPT-2 in which norms divide by a constant, heads attend evenly, MLPs are linear."""
    config = gpt2_config(activation_function="linear", layer_norm_epsilon=1e12)
    model = random_model(config, dtype=torch.float64)
    width = config.n_embd
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".ln_" in name and name.endswith("weight"):
                weight.mul_(1e6)
        for block in model.transformer.h:
            block.attn.c_attn.weight[:, : 2 * width] = 0
            block.attn.c_attn.bias[: 2 * width] = 0
    return model


@pytest.mark.parametrize("method", ["EAP", "EAP-IG", "EAP-IG-activations", "clean-corrupted"])
def test_in_a_linear_model_every_score_is_the_exact_effect_of_its_edge(
    boot: Boot, method: str
) -> None:
    bridge = boot(linear_model())
    effects = edge_effects(bridge, graph_shape(bridge), PROMPTS, "swap")
    scores = edge_scores(bridge, PROMPTS, method, ig_steps=3)
    attended = [edge for edge in effects if edge[1].endswith(("<q>", "<k>"))]
    for edge in attended:
        assert abs(scores.pop(edge)) + abs(effects.pop(edge)) < 1e-9
    assert largest_difference(scores, effects) < 1e-8
