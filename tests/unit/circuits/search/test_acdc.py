"""ACDC: the same edges as the plain loop, whatever is measured together."""

import math

import pytest
import torch
from circuits.score_batches import score_batches
from circuits.search.plain import edge_circuits, plain_acdc, written_when_ablated
from circuits.search.searched import (
    CORRUPTION,
    KINDS,
    MODELS,
    evaluator_of,
    random_bridge,
    turned_round,
    two_lengths,
)
from tiny_models import Boot, gpt2_config, random_model
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.circuits.methods import AblationKind, MethodSettings
from timelapse.circuits.model_check import graph_shape
from timelapse.circuits.search.acdc import acdc_circuit
from timelapse.errors import UserError


@pytest.mark.slow
@MODELS
@KINDS
def test_it_keeps_the_edges_that_the_plain_loop_keeps(
    boot: Boot, config: PretrainedConfig, kind: AblationKind
) -> None:
    keeps_the_edges_that_the_plain_loop_keeps(boot, config, kind)


def test_it_keeps_the_edges_that_the_plain_loop_keeps_in_gpt2(boot: Boot) -> None:
    keeps_the_edges_that_the_plain_loop_keeps(boot, gpt2_config(), "resample")


def keeps_the_edges_that_the_plain_loop_keeps(
    boot: Boot, config: PretrainedConfig, kind: AblationKind
) -> None:
    bridge, buckets = random_bridge(boot, config), two_lengths()
    shape = graph_shape(bridge)
    references = written_when_ablated(kind, bridge, shape, buckets, CORRUPTION)
    expected = plain_acdc(edge_circuits(bridge, shape, buckets, references), shape, 0.1)
    assert 0 < len(expected) < len(shape.edges)
    for batch in (2, 30):
        evaluator, _ = evaluator_of(bridge, buckets, MethodSettings(batch=batch, ablation=kind))
        kept = acdc_circuit(evaluator, shape, 0.1)
        assert {
            edge for edge, is_kept in zip(shape.edges, kept, strict=True) if is_kept
        } == expected


def test_its_scores_are_effects_within_the_circuit_and_zero_outside(boot: Boot) -> None:
    bridge, buckets = random_bridge(boot, gpt2_config()), two_lengths()
    settings = MethodSettings(batch=12, threshold=0.1)
    evaluator, shape = evaluator_of(bridge, buckets, settings)
    kept = acdc_circuit(evaluator, shape, 0.1)
    found = list(score_batches("ACDC", bridge, shape, buckets, CORRUPTION, settings))
    assert [len(scores.rows) for scores in found] == [3, 2]
    scores = torch.cat([batch.scores for batch in found], dim=1)
    assert scores.shape == (len(shape.edges), 5)
    assert (scores[~kept] == 0).all()
    references = written_when_ablated("resample", bridge, shape, buckets, CORRUPTION)
    of_edges = edge_circuits(bridge, shape, buckets, references)
    circuit = {edge for edge, is_kept in zip(shape.edges, kept, strict=True) if is_kept}
    effects = [of_edges(circuit - {edge}) - of_edges(circuit) for edge in shape.edges]
    assert max(map(abs, effects)) > 0.1
    torch.testing.assert_close(scores.mean(1), torch.tensor(effects, dtype=scores.dtype))


def test_an_edge_that_hinders_is_kept_like_one_that_helps(boot: Boot) -> None:
    """With answer and foil exchanged all effects turn round, and the circuit is the same."""
    bridge, buckets = random_bridge(boot, gpt2_config()), turned_round(two_lengths())
    found = []
    for prompts in (buckets, turned_round(buckets)):
        (shape, settings) = graph_shape(bridge), MethodSettings(threshold=0.05)
        batches = score_batches("ACDC", bridge, shape, prompts, CORRUPTION, settings)
        found.append(torch.cat([batch.scores for batch in batches], dim=1))
    assert (found[0] < -0.1).any() and (found[0] > 0.1).any()
    torch.testing.assert_close(found[0], -found[1])


def test_thresholds_of_nothing_and_of_everything(gpt2: TransformerBridge) -> None:
    evaluator, shape = evaluator_of(gpt2, two_lengths(), MethodSettings())
    assert acdc_circuit(evaluator, shape, 0.0).all()
    assert not acdc_circuit(evaluator, shape, 1e6).any()


def test_it_is_deterministic(boot: Boot) -> None:
    found = []
    for _ in range(2):
        bridge = boot(random_model(gpt2_config(), seed=1))
        shape, settings = graph_shape(bridge), MethodSettings(batch=12, threshold=0.1)
        batches = score_batches("ACDC", bridge, shape, two_lengths(), CORRUPTION, settings)
        found.append(torch.cat([batch.scores for batch in batches], dim=1))
    assert found[0].any()
    assert torch.equal(*found)


@pytest.mark.parametrize("threshold", [-0.01, math.nan])
def test_an_impossible_threshold_is_refused(gpt2: TransformerBridge, threshold: float) -> None:
    shape, settings = graph_shape(gpt2), MethodSettings(threshold=threshold)
    with pytest.raises(UserError, match=r"threshold: .* is not a share"):
        next(score_batches("ACDC", gpt2, shape, two_lengths(), CORRUPTION, settings))
