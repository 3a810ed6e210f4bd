"""Iterative node ablation: the same nodes as the plain loop, and a circuit that keeps its share."""

import math

import pytest
import torch
from circuits.score_batches import score_batches
from circuits.search.plain import (
    edge_circuits,
    node_circuits,
    plain_node_ablation,
    written_when_ablated,
)
from circuits.search.searched import (
    CORRUPTION,
    KINDS,
    MODELS,
    evaluator_of,
    random_bridge,
    turned_round,
    two_lengths,
)
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import AblationKind, MethodSettings
from timelapse.circuits.model_check import graph_shape
from timelapse.circuits.search.node_ablation import edges_between, surviving_nodes
from timelapse.errors import UserError


@MODELS
@KINDS
def test_the_nodes_that_the_plain_loop_leaves_are_left(
    boot: Boot, config: PretrainedConfig, kind: AblationKind
) -> None:
    bridge, buckets = random_bridge(boot, config), two_lengths()
    shape = graph_shape(bridge)
    of_nodes = node_circuits(bridge, shape, buckets, CORRUPTION, kind)
    for keep in (0.8, 1.0):
        expected, _ = plain_node_ablation(of_nodes, shape, keep)
        evaluator, _ = evaluator_of(bridge, buckets, MethodSettings(batch=30, ablation=kind))
        survives = surviving_nodes(evaluator, shape, keep)
        assert survives[0], "the input is always in"
        left = {node for node, is_in in zip(shape.sources, survives, strict=True) if is_in}
        assert left == {shape.sources[0], *expected}


def test_it_does_not_matter_how_many_circuits_are_measured_at_a_time(boot: Boot) -> None:
    """Nor whether the prompts fit into one batch."""
    bridge, buckets = random_bridge(boot, gpt2_config()), two_lengths()
    found = []
    for batch in (2, 9, 300):
        evaluator, shape = evaluator_of(
            bridge, buckets, MethodSettings(batch=batch, ablation="mean")
        )
        found.append(surviving_nodes(evaluator, shape, 0.9))
    assert 1 < found[0].sum() < len(found[0])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_there_were_nodes_to_drop_and_to_leave_in_sweep_after_sweep(boot: Boot) -> None:
    """What the comparison with the plain loop went through, where it is easily listed."""
    dropped = {}
    for kind in ("resample", "mean", "zero"):
        bridge, buckets = random_bridge(boot, gpt2_config()), two_lengths()
        shape = graph_shape(bridge)
        of_nodes = node_circuits(bridge, shape, buckets, CORRUPTION, kind)
        left, dropped[kind] = plain_node_ablation(of_nodes, shape, 0.8)
        assert 0 < len(left) < 6
        assert len(left) + sum(dropped[kind]) == 6
    assert dropped == {"resample": [4], "mean": [4, 1], "zero": [2, 1]}


@MODELS
@KINDS
def test_ablating_all_edges_from_a_node_is_ablating_its_output(
    boot: Boot, config: PretrainedConfig, kind: AblationKind
) -> None:
    """The nodes' outputs are replaced by plain hooks on z and on what the MLP writes.

    RMSNorm of Llama and Qwen computes in float32 even in a float64 model.
    """
    bridge, buckets = random_bridge(boot, config), two_lengths()
    evaluator, shape = evaluator_of(bridge, buckets, MethodSettings(ablation=kind))
    of_nodes = node_circuits(bridge, shape, buckets, CORRUPTION, kind)
    nodes = shape.sources[1:]
    kept = torch.tensor([[source != node for source, _ in shape.edges] for node in nodes])
    by_edges = evaluator.means(kept)
    by_hook = [of_nodes([other for other in nodes if other != node]) for node in nodes]
    assert max(abs(value - of_nodes(nodes)) for value in by_hook) > 0.1
    assert by_edges == pytest.approx(by_hook, abs=1e-5)


@pytest.mark.parametrize("keep", [0.8, 0.95])
@pytest.mark.parametrize(
    "config", [gpt2_config(), neox_config(), llama_config()], ids=["gpt2", "neox", "llama"]
)
def test_the_circuit_keeps_its_share_of_the_logit_difference(
    boot: Boot, config: PretrainedConfig, keep: float
) -> None:
    """The edges between the nodes that are left, measured through split inputs."""
    bridge, buckets = random_bridge(boot, config), two_lengths()
    evaluator, shape = evaluator_of(bridge, buckets, MethodSettings())
    between = edges_between(shape, surviving_nodes(evaluator, shape, keep))
    assert 0 < between.sum() < len(shape.edges)
    references = written_when_ablated("resample", bridge, shape, buckets, CORRUPTION)
    of_edges = edge_circuits(bridge, shape, buckets, references)
    circuit = {edge for edge, is_kept in zip(shape.edges, between, strict=True) if is_kept}
    full = of_edges(set(shape.edges))
    assert abs(full) > 0.1
    assert of_edges(circuit) / full >= keep


def test_the_edges_between_some_nodes() -> None:
    """Of heads that share keys and values, one is enough to keep the shared ports."""
    shape = GraphShape(n_layers=2, n_heads=2, n_kv_heads=1)
    left = {"input", "a0.h1", "m1"}
    between = edges_between(shape, torch.tensor([node.name in left for node in shape.sources]))
    names = {
        (source.name, target.name)
        for (source, target), is_kept in zip(shape.edges, between, strict=True)
        if is_kept
    }
    assert names == {
        ("input", "a0.h1<q>"),
        ("input", "a0.h0<k>"),
        ("input", "a0.h0<v>"),
        ("input", "m1"),
        ("a0.h1", "m1"),
        ("input", "logits"),
        ("a0.h1", "logits"),
        ("m1", "logits"),
    }


def test_its_scores_are_effects_within_the_circuit_and_zero_outside(boot: Boot) -> None:
    bridge, buckets = random_bridge(boot, gpt2_config()), two_lengths()
    settings = MethodSettings(batch=12, ablation="mean", keep=0.95)
    evaluator, shape = evaluator_of(bridge, buckets, settings)
    between = edges_between(shape, surviving_nodes(evaluator, shape, 0.95))
    assert 1 < between.sum() < len(shape.edges)
    found = list(score_batches("node-ablation", bridge, shape, buckets, CORRUPTION, settings))
    assert [len(scores.rows) for scores in found] == [3, 2]
    scores = torch.cat([batch.scores for batch in found], dim=1)
    assert (scores[~between] == 0).all()
    references = written_when_ablated("mean", bridge, shape, buckets, CORRUPTION)
    of_edges = edge_circuits(bridge, shape, buckets, references)
    circuit = {edge for edge, is_kept in zip(shape.edges, between, strict=True) if is_kept}
    effects = [of_edges(circuit - {edge}) - of_edges(circuit) for edge in shape.edges]
    assert max(map(abs, effects)) > 0.1
    torch.testing.assert_close(scores.mean(1), torch.tensor(effects, dtype=scores.dtype))


def test_of_a_negative_logit_difference_a_share_is_kept_too(boot: Boot) -> None:
    bridge, buckets = random_bridge(boot, gpt2_config()), turned_round(two_lengths())
    found = []
    for prompts in (buckets, turned_round(buckets)):
        evaluator, shape = evaluator_of(bridge, prompts, MethodSettings())
        found.append(surviving_nodes(evaluator, shape, 0.8))
    assert 1 < found[0].sum() < len(found[0])
    assert torch.equal(*found)


def test_of_no_logit_difference_nothing_is_dropped(gpt2: TransformerBridge) -> None:
    """No share of it can be kept."""
    (prompts, _) = turned_round(two_lengths())
    prompts.foils[:] = prompts.answer[:, None]
    evaluator, shape = evaluator_of(gpt2, [prompts], MethodSettings())
    assert surviving_nodes(evaluator, shape, 0.8).all()


def test_it_is_deterministic(boot: Boot) -> None:
    found = []
    for _ in range(2):
        bridge = boot(random_model(gpt2_config(), seed=1))
        shape, settings = graph_shape(bridge), MethodSettings(batch=12)
        batches = score_batches("node-ablation", bridge, shape, two_lengths(), CORRUPTION, settings)
        found.append(torch.cat([batch.scores for batch in batches], dim=1))
    assert found[0].any()
    assert torch.equal(*found)


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.01, math.nan])
def test_an_impossible_share_is_refused(gpt2: TransformerBridge, keep: float) -> None:
    shape, settings = graph_shape(gpt2), MethodSettings(keep=keep)
    with pytest.raises(UserError, match=r"keep: .* is not a share to keep"):
        next(score_batches("node-ablation", gpt2, shape, two_lengths(), CORRUPTION, settings))
