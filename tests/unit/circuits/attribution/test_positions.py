"""Scores split by labelled position."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from circuits.oracles import Scores, intervention_scores, mean_scores
from circuits.score_batches import score_batches
from tiny_models import Boot, gpt2_config, neox_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_shape
from timelapse.circuits.scores import OTHER, PromptScores
from timelapse.circuits.scoring import score_edges
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prompts import Prompts

GRADIENT_METHODS = ["EAP", "EAP-IG", "EAP-IG-activations", "clean-corrupted", "node"]

PROMPTS = replace(
    random_prompts(3, length=7),
    positions={
        "name": torch.tensor([2, 3, 4]),
        "same": torch.tensor([2, 5, 5]),
        "early": torch.tensor([0, 1, 1]),
        "end": torch.tensor([6, 6, 6]),
    },
)
"""`same` is the token of `name` in the first prompt; the corruption begins after `early`."""


def scored(bridge: TransformerBridge, prompts: Prompts, method: str) -> PromptScores:
    settings = MethodSettings(ig_steps=2, positions=True)
    (found,) = score_batches(method, bridge, graph_shape(bridge), [prompts], "swap", settings)
    return found


def by_edge(bridge: TransformerBridge, scores: torch.Tensor) -> Scores:
    edges = graph_shape(bridge).edges
    means = zip(edges, scores.mean(1).tolist(), strict=True)
    return {(source.name, target.name): mean for (source, target), mean in means}


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_the_parts_sum_to_the_whole_and_a_token_counts_once(
    gpt2: TransformerBridge, method: str
) -> None:
    found = scored(gpt2, PROMPTS, method)
    assert [*found.by_position] == ["name", "same", "early", "end", OTHER]
    sizes = {label: part.abs().max() for label, part in found.by_position.items()}
    assert sizes.pop("early") == 0
    assert min(sizes.values()) > 1e-3
    assert found.by_position["same"][:, 0].abs().max() == 0
    assert found.by_position["same"][:, 1:].abs().max() > 1e-3
    total = torch.stack([*found.by_position.values()]).sum(0)
    torch.testing.assert_close(total, found.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_asking_for_positions_leaves_the_scores_as_they_are(
    gpt2: TransformerBridge, method: str
) -> None:
    settings = MethodSettings(ig_steps=2)
    (plain,) = score_batches(method, gpt2, graph_shape(gpt2), [PROMPTS], "swap", settings)
    assert plain.by_position == {}
    torch.testing.assert_close(scored(gpt2, PROMPTS, method).scores, plain.scores, rtol=0, atol=0)


@pytest.mark.parametrize("config", [gpt2_config(), neox_config()], ids=["gpt2", "neox"])
def test_a_part_is_the_slope_of_corrupting_the_edge_at_that_token_alone(
    boot: Boot, config: object
) -> None:
    bridge = boot(random_model(config, dtype=torch.float64))
    shape = graph_shape(bridge)
    names = torch.arange(7) == PROMPTS.positions["name"][:, None]
    ends = torch.arange(7) == PROMPTS.positions["end"][:, None]
    same = torch.arange(7) == PROMPTS.positions["same"][:, None]
    wanted = {"name": names, "end": ends, OTHER: ~(names | ends | same)}
    found = scored(bridge, PROMPTS, "EAP-IG")
    for label, where in wanted.items():
        slopes = [
            intervention_scores(bridge, shape, PROMPTS, "swap", point, where=where)
            for point in (0.5, 1.0)
        ]
        expected = mean_scores(slopes)
        part = by_edge(bridge, found.by_position[label])
        reached = [edge for edge, slope in expected.items() if abs(slope) > 1e-4]
        assert len(reached) > len(shape.edges) / 3
        assert max(abs(part[edge] - expected[edge]) for edge in expected) < 1e-6


def test_the_tables_by_position_sum_to_the_table_of_edges(gpt2: TransformerBridge) -> None:
    other = replace(random_prompts(2, length=5), positions={"verb": torch.tensor([3, 2])})
    settings = MethodSettings(batch=2, ig_steps=2, positions=True)
    tables = score_edges(gpt2, [other, PROMPTS], ["swap"], ["EAP-IG", "node"], settings, LOGIT_DIFF)
    parts = tables["edges_by_position"].to_pandas()
    labels = ["verb", "name", "same", "early", "end", OTHER]
    assert parts["position"].unique().tolist() == labels
    keys = ["method", "source", "target"]
    summed = parts.groupby(keys, dropna=False, sort=False)["score"].sum().reset_index()
    whole = tables["edges"].to_pandas()
    assert (summed[keys].fillna("") == whole[keys].fillna("")).all(axis=None)
    assert np.abs(whole["score"]).max() > 1e-2
    np.testing.assert_allclose(summed["score"], whole["score"], atol=1e-6)
