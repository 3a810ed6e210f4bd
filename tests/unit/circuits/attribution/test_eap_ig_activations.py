"""Every gradient method against its definition, and what integrated gradients tend to."""

import pytest
import torch
from circuits.score_batches import score_batches
from circuits.search.searched import (
    CORRUPTION,
    MODELS,
    evaluator_of,
    random_bridge,
    two_lengths,
)
from circuits.slopes import plain_scores
from jaxtyping import Float
from tiny_models import Boot, gpt2_config
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_shape


def scores_of(
    method: str, bridge: TransformerBridge, settings: MethodSettings
) -> Float[Tensor, "edge batch"]:
    batches = score_batches(
        method, bridge, graph_shape(bridge), two_lengths(), CORRUPTION, settings
    )
    return torch.cat([batch.scores for batch in batches], dim=1)


@MODELS
@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("EAP", 1),
        ("EAP-IG", 1),
        ("EAP-IG", 3),
        ("EAP-IG-activations", 3),
        ("clean-corrupted", 1),
        ("node", 1),
    ],
)
def test_scores_are_what_the_method_is_defined_to_be(
    boot: Boot, config: PretrainedConfig, method: str, steps: int
) -> None:
    """RMSNorm of Llama and Qwen computes in float32 even in a float64 model."""
    bridge = random_bridge(boot, config)
    shape = graph_shape(bridge)
    expected = torch.cat(
        [
            plain_scores(method, bridge, shape, prompts, CORRUPTION, steps)
            for prompts in two_lengths()
        ],
        dim=1,
    )
    found = scores_of(method, bridge, MethodSettings(batch=2, ig_steps=steps))
    assert expected.abs().max() > 0.1
    assert expected.abs().median() > 1e-4
    exact = config.model_type in ("gpt2", "gpt_neox")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 if exact else 2e-6)


@pytest.mark.slow
def test_the_edges_of_the_input_tend_to_what_corrupting_it_does(boot: Boot) -> None:
    """The completeness of integrated gradients along the input; the error falls as 1 / m.

    Single edges tend to the integral along that way, which is not the effect of patching them.
    """
    bridge = random_bridge(boot, gpt2_config())
    evaluator, shape = evaluator_of(bridge, two_lengths(), MethodSettings())
    all_or_none = torch.tensor([True, False])[:, None].repeat(1, len(shape.edges))
    clean, corrupted = evaluator.means(all_or_none)
    of_input = torch.tensor([source.kind == "input" for source, _ in shape.edges])
    errors = []
    for steps in (64, 256):
        scores = scores_of("EAP-IG", bridge, MethodSettings(ig_steps=steps)).mean(1)
        errors.append(abs(scores[of_input].sum().item() - (corrupted - clean)))
    assert abs(corrupted - clean) > 0.1
    assert 1e-9 < errors[1] < errors[0] / 3


@pytest.mark.slow
def test_a_nodes_edges_tend_to_what_corrupting_it_does(boot: Boot) -> None:
    """The same for the way along activations, node by node."""
    bridge = random_bridge(boot, gpt2_config())
    evaluator, shape = evaluator_of(bridge, two_lengths(), MethodSettings())
    of_node = torch.tensor(
        [[writer == source for writer, _ in shape.edges] for source in shape.sources]
    )
    clean, *without = evaluator.means(torch.cat([torch.ones_like(of_node[:1]), ~of_node]))
    effects = torch.tensor(without, dtype=torch.float64) - clean
    errors = []
    for steps in (16, 64):
        scores = scores_of("EAP-IG-activations", bridge, MethodSettings(ig_steps=steps)).mean(1)
        errors.append((of_node.double() @ scores - effects).abs().max().item())
    assert effects.abs().min() > 1e-3
    assert 1e-9 < errors[1] < errors[0] / 3
