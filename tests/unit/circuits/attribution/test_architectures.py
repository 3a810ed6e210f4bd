"""Every method on every architecture: equal to derivatives by real interventions."""

import pytest
import torch
from circuits.attribution.scoring import edge_scores, largest_difference, node_sums, prompt_scores
from circuits.oracles import intervention_scores, mean_scores, probability_difference
from tiny_models import ARCHITECTURES, Boot, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.model_check import graph_shape
from timelapse.models.metric import PROBABILITY_DIFF

POINTS = {
    "EAP": [1.0],
    "EAP-IG": [1 / 3, 2 / 3, 1.0],
    "clean-corrupted": [0.0, 1.0],
}
PROMPTS = random_prompts(2, length=6)


# TransformerLens cannot intervene on what single heads of OPT read.
INTERVENED_ON = [name for name in ARCHITECTURES if name != "opt"]


@pytest.fixture(scope="module", params=INTERVENED_ON)
def exact_bridge(request: pytest.FixtureRequest, boot: Boot) -> TransformerBridge:
    """A model in float64."""
    return boot(random_model(ARCHITECTURES[request.param](), dtype=torch.float64))


@pytest.mark.parametrize("method", POINTS)
def test_scores_are_slopes_at_points_between_the_prompts(
    exact_bridge: TransformerBridge, method: str
) -> None:
    shape = graph_shape(exact_bridge)
    slopes = [
        intervention_scores(exact_bridge, shape, PROMPTS, "swap", point) for point in POINTS[method]
    ]
    found = edge_scores(exact_bridge, PROMPTS, method, ig_steps=3)
    assert largest_difference(found, mean_scores(slopes)) < 1e-6


@pytest.mark.parametrize("method", POINTS)
def test_scores_of_another_metric_are_its_slopes(
    exact_bridge: TransformerBridge, method: str
) -> None:
    shape = graph_shape(exact_bridge)
    slopes = [
        intervention_scores(
            exact_bridge, shape, PROMPTS, "swap", point, metric=probability_difference
        )
        for point in POINTS[method]
    ]
    expected = mean_scores(slopes)
    found = edge_scores(exact_bridge, PROMPTS, method, PROBABILITY_DIFF, ig_steps=3)
    largest = max(map(abs, expected.values()))
    assert largest > 1e-6, "nothing to compare"
    assert found.keys() == expected.keys()
    assert max(abs(found[edge] - expected[edge]) for edge in expected) < 1e-6 * largest


@pytest.mark.parametrize("batch", [2, 5], ids=["node by node", "heads side by side"])
def test_scores_along_activations_are_slopes_while_one_node_is_corrupted(
    exact_bridge: TransformerBridge, batch: int
) -> None:
    shape = graph_shape(exact_bridge)
    expected = {}
    for node in shape.sources:
        slopes = [
            intervention_scores(exact_bridge, shape, PROMPTS, "swap", point, node)
            for point in (0.5, 1.0)
        ]
        mean = mean_scores(slopes)
        expected.update({edge: score for edge, score in mean.items() if edge[0] == node.name})
    found = edge_scores(exact_bridge, PROMPTS, "EAP-IG-activations", ig_steps=2, batch=batch)
    assert largest_difference(found, expected) < 1e-6


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_score_of_a_node_is_the_sum_of_its_edges(boot: Boot, architecture: str) -> None:
    bridge = boot(random_model(ARCHITECTURES[architecture]()))
    scores = prompt_scores(bridge, PROMPTS, "node").mean(1).tolist()
    sums = node_sums(edge_scores(bridge, PROMPTS, "EAP"))
    assert largest_difference(dict(zip(sums, scores, strict=True)), sums) < 1e-5


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("method", [*POINTS, "EAP-IG-activations", "node"])
def test_half_precision_gives_nearly_the_same_scores_in_single_precision(
    boot: Boot, architecture: str, method: str
) -> None:
    config = ARCHITECTURES[architecture]
    exact = prompt_scores(boot(random_model(config())), PROMPTS, method, ig_steps=2)
    half = boot(random_model(config(), dtype=torch.bfloat16))
    rounded = prompt_scores(half, PROMPTS, method, ig_steps=2)
    assert rounded.dtype == torch.float32
    assert 1e-5 < (rounded - exact).abs().max() < 0.1 * exact.abs().max()
