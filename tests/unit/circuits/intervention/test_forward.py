"""A pass with edges ablated: equal to slower and independent ways to the same numbers."""

import numpy as np
import pytest
import torch
from circuits.ablation_oracles import (
    ablated_logits,
    ablated_run,
    transformer_lens_faithfulness,
    written_when_corrupted,
)
from tiny_models import (
    SPECIAL,
    Boot,
    gpt2_config,
    llama_config,
    neox_config,
    random_model,
    random_prompts,
)
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig, Qwen3Config

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.ablation import ReferenceActivations, mean, resample, zero
from timelapse.circuits.intervention.forward import circuit_values
from timelapse.circuits.model_check import graph_shape
from timelapse.models import hooks
from timelapse.models.hooks import Hook, last_logits
from timelapse.models.metric import LOGIT_DIFF, PROBABILITY_DIFF, logit_difference
from timelapse.models.prompts import Prompts

QWEN = Qwen3Config(
    vocab_size=30,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=16,
    **SPECIAL,
)
MODELS = pytest.mark.parametrize(
    "config",
    [gpt2_config(), neox_config(), llama_config(), QWEN],
    ids=["gpt2", "neox", "llama", "qwen"],
)
KINDS = ["resample", "mean", "zero"]


def measured(bridge: TransformerBridge, prompts: Prompts, tokens: Tensor) -> Tensor:
    return logit_difference(last_logits(bridge, tokens), prompts.answer, prompts.foils)


def random_circuits(shape: GraphShape, seed: int = 0) -> Tensor:
    """Sparse and dense ones."""
    shares = torch.tensor([0.05, 0.2, 0.5, 0.9])[:, None]
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(4, len(shape.edges), generator=generator) < shares


def ablation_of(
    kind: str, bridge: TransformerBridge, shape: GraphShape, prompts: Prompts
) -> ReferenceActivations:
    if kind == "mean":
        return mean(bridge, shape, [prompts], "swap")
    return (
        resample(bridge, shape, prompts, "swap")
        if kind == "resample"
        else zero(bridge, shape, prompts)
    )


@MODELS
@pytest.mark.parametrize("kind", KINDS)
def test_with_all_edges_kept_it_is_the_clean_run(
    boot: Boot, config: PretrainedConfig, kind: str
) -> None:
    bridge, prompts = boot(random_model(config)), random_prompts(3, length=8)
    shape = graph_shape(bridge)
    everything = torch.ones(2, len(shape.edges), dtype=torch.bool)
    ablation = ablation_of(kind, bridge, shape, prompts)
    found = circuit_values(bridge, shape, prompts, ablation, everything, LOGIT_DIFF)
    clean = measured(bridge, prompts, prompts.tokens)
    corrupted = measured(bridge, prompts, prompts.corrupted["swap"])
    assert (clean - corrupted).abs().max() > 0.1
    torch.testing.assert_close(found, clean.repeat(2, 1), rtol=1e-5, atol=1e-5)


@MODELS
def test_with_no_edge_from_the_input_it_is_the_corrupted_run(
    boot: Boot, config: PretrainedConfig
) -> None:
    """Whether the other edges are kept or not: what they carry is the same either way."""
    bridge, prompts = boot(random_model(config)), random_prompts(3, length=8)
    shape = graph_shape(bridge)
    others = [source.kind != "input" for source, _ in shape.edges]
    circuits = torch.tensor([others, [False] * len(others)])
    ablation = resample(bridge, shape, prompts, "swap")
    found = circuit_values(bridge, shape, prompts, ablation, circuits, LOGIT_DIFF)
    corrupted = measured(bridge, prompts, prompts.corrupted["swap"])
    assert (measured(bridge, prompts, prompts.tokens) - corrupted).abs().max() > 0.1
    torch.testing.assert_close(found, corrupted.repeat(2, 1), rtol=1e-5, atol=1e-5)


@MODELS
@pytest.mark.parametrize("kind", KINDS)
def test_random_circuits_equal_real_interventions_edge_by_edge(
    boot: Boot, config: PretrainedConfig, kind: str
) -> None:
    bridge = boot(random_model(config, dtype=torch.float64))
    prompts, shape = random_prompts(3, length=6), graph_shape(bridge)
    circuits = random_circuits(shape)
    written = written_when_corrupted(bridge, shape, prompts, "swap")
    if kind == "mean":
        written = {source: w.mean(0, keepdim=True) for source, w in written.items()}
    if kind == "zero":
        written = {source: torch.zeros_like(w) for source, w in written.items()}
    found = circuit_values(
        bridge, shape, prompts, ablation_of(kind, bridge, shape, prompts), circuits, LOGIT_DIFF
    )
    expected = torch.stack(
        [ablated_run(bridge, shape, prompts, written, circuit.tolist()) for circuit in circuits]
    )
    assert expected.std(0).min() > 1e-3, "the circuits do the same"
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("config", [gpt2_config(), neox_config()], ids=["gpt2", "neox"])
@pytest.mark.parametrize("kind", ["resample", "mean"])
def test_it_agrees_with_the_faithfulness_of_transformer_lens(
    boot: Boot, config: PretrainedConfig, kind: str
) -> None:
    bridge, prompts = boot(random_model(config)), random_prompts(2, length=6)
    shape = graph_shape(bridge)
    held_out = random_prompts(5, length=6, seed=1)
    ablation = (
        mean(bridge, shape, [held_out], "swap")
        if kind == "mean"
        else resample(bridge, shape, prompts, "swap")
    )
    circuits = random_circuits(shape)
    found = circuit_values(bridge, shape, prompts, ablation, circuits, LOGIT_DIFF)
    clean = measured(bridge, prompts, prompts.tokens)
    corrupted = measured(bridge, prompts, prompts.corrupted["swap"])
    recovered = (found - corrupted) / (clean - corrupted)
    assert recovered.std(0).min() > 0.01, "the circuits do the same"
    for circuit, ours in zip(circuits, recovered, strict=True):
        names = {
            (source.name, target.name)
            for (source, target), kept in zip(shape.edges, circuit, strict=True)
            if kept
        }
        mean_tokens = held_out.corrupted["swap"] if kind == "mean" else None
        theirs = transformer_lens_faithfulness(bridge, prompts, "swap", names, mean_tokens)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("numbers", [2**28, 40 * 4 * 16 * 30, 1])
def test_circuits_and_batches_do_not_disturb_each_other(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    """Many circuits and prompts in a pass give what a pass for each of them gives, in order.

    Where the memory does not hold them all, they take several passes.
    """
    prompts, shape = random_prompts(9, length=6), graph_shape(gpt2)
    reference = resample(gpt2, shape, prompts, "swap")
    circuits = random_circuits(shape).flip(0)
    alone = torch.cat(
        [
            circuit_values(gpt2, shape, prompts, reference, circuit[None], LOGIT_DIFF)
            for circuit in circuits
        ]
    )
    assert alone.std(0).min() > 1e-3
    monkeypatch.setattr("timelapse.circuits.attribution.batching._NUMBERS", numbers)
    together = circuit_values(gpt2, shape, prompts, reference, circuits, LOGIT_DIFF)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


def rows_of(
    bridge: TransformerBridge, names: list[str], prompts: Prompts, circuits: Tensor
) -> dict[str, list[int]]:
    """How many rows the activations have whenever they are computed for circuits."""
    shape = graph_shape(bridge)
    reference = resample(bridge, shape, prompts, "swap")
    rows: dict[str, list[int]] = {}

    def counter(name: str) -> Hook:
        return name, lambda activation, hook: rows.setdefault(name, []).append(len(activation))

    with bridge.hooks(fwd_hooks=[counter(name) for name in names]):
        circuit_values(bridge, shape, prompts, reference, circuits, LOGIT_DIFF)
    return rows


def test_what_circuits_have_in_common_is_computed_once(gpt2: TransformerBridge) -> None:
    """Circuits without one edge into the last MLP differ in that MLP alone."""
    prompts, shape = random_prompts(3, length=6), graph_shape(gpt2)
    into_last_mlp = [n for n, (_, target) in enumerate(shape.edges) if target.name == "m1"]
    circuits = torch.ones(len(into_last_mlp), len(shape.edges), dtype=torch.bool)
    circuits[torch.arange(len(circuits)), into_last_mlp] = False
    names = [hooks.z(0), hooks.mlp_out(0), hooks.z(1), hooks.mlp_out(1)]
    rows = rows_of(gpt2, names, prompts, circuits)
    assert rows == {**{name: [3] for name in names}, hooks.mlp_out(1): [3 * len(circuits)]}


def test_nodes_that_do_not_matter_are_not_computed(gpt2: TransformerBridge) -> None:
    prompts, shape = random_prompts(3, length=6), graph_shape(gpt2)
    names = [("input", "m1"), ("m1", "logits"), ("input", "a1.h0<q>")]
    circuit = torch.tensor([[(s.name, t.name) in names for s, t in shape.edges]])
    rows = rows_of(gpt2, [hooks.z(0), hooks.mlp_out(0), hooks.mlp_out(1)], prompts, circuit)
    assert rows == {hooks.mlp_out(1): [3]}


@MODELS
def test_another_metric_equals_real_interventions_edge_by_edge(
    boot: Boot, config: PretrainedConfig
) -> None:
    bridge = boot(random_model(config, dtype=torch.float64))
    prompts, shape = random_prompts(3, length=6), graph_shape(bridge)
    circuits = random_circuits(shape)
    written = written_when_corrupted(bridge, shape, prompts, "swap")
    reference = resample(bridge, shape, prompts, "swap")
    found = circuit_values(bridge, shape, prompts, reference, circuits, PROBABILITY_DIFF)
    logits = [
        ablated_logits(bridge, shape, prompts, written, circuit.tolist()) for circuit in circuits
    ]
    probabilities = torch.stack(logits).softmax(-1)
    each = torch.arange(len(prompts))
    expected = probabilities[:, each, prompts.answer] - sum(
        probabilities[:, each, foil] for foil in prompts.foils.T
    )
    assert expected.std(0).min() > 1e-4, "the circuits do the same"
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_prompts_do_not_disturb_each_other(gpt2: TransformerBridge) -> None:
    """Positions up to the first difference of a batch are skipped: they hold the same."""
    early, late = random_prompts(2, 8, corrupted_from=0), random_prompts(2, 8, corrupted_from=4)
    mixed = Prompts(
        rows=np.arange(4),
        tokens=torch.cat([early.tokens, late.tokens]),
        answer=torch.cat([early.answer, late.answer]),
        foils=torch.cat([early.foils, late.foils]),
        corrupted={"swap": torch.cat([early.corrupted["swap"], late.corrupted["swap"]])},
        positions={},
    )
    shape = graph_shape(gpt2)
    circuits = random_circuits(shape)
    alone = circuit_values(
        gpt2, shape, late, resample(gpt2, shape, late, "swap"), circuits, LOGIT_DIFF
    )
    both = circuit_values(
        gpt2, shape, mixed, resample(gpt2, shape, mixed, "swap"), circuits, LOGIT_DIFF
    )
    assert alone.std(0).min() > 0.01
    torch.testing.assert_close(both[:, 2:], alone, rtol=1e-5, atol=1e-5)


def test_weights_may_be_folded(boot: Boot) -> None:
    prompts = random_prompts(3, length=6)
    raw, folded = boot(random_model(gpt2_config())), boot(random_model(gpt2_config()))
    folded.enable_compatibility_mode()
    shape = graph_shape(raw)
    everything = torch.ones(1, len(shape.edges), dtype=torch.bool)
    for bridge in (raw, folded):
        ablation = resample(bridge, shape, prompts, "swap")
        found = circuit_values(bridge, shape, prompts, ablation, everything, LOGIT_DIFF)
        clean = measured(raw, prompts, prompts.tokens)
        torch.testing.assert_close(found[0], clean, rtol=1e-4, atol=1e-4)


def test_half_precision_gives_nearly_the_same(boot: Boot) -> None:
    prompts = random_prompts(4, length=6)
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        bridge = boot(random_model(gpt2_config(), dtype=dtype))
        shape = graph_shape(bridge)
        ablation = resample(bridge, shape, prompts, "swap")
        circuits = random_circuits(shape)
        found[dtype] = circuit_values(bridge, shape, prompts, ablation, circuits, LOGIT_DIFF)
        assert found[dtype].dtype == torch.float32
    exact, rounded = found.values()
    assert 1e-5 < (exact - rounded).abs().max() < 0.1 * exact.abs().max()


def test_the_model_is_left_without_hooks(gpt2: TransformerBridge) -> None:
    prompts, shape = random_prompts(2, length=6), graph_shape(gpt2)
    before = gpt2(prompts.tokens)
    ablation = resample(gpt2, shape, prompts, "swap")
    circuit_values(gpt2, shape, prompts, ablation, random_circuits(shape), LOGIT_DIFF)
    assert not gpt2.list_hooks()
    torch.testing.assert_close(gpt2(prompts.tokens), before, rtol=0, atol=0)
