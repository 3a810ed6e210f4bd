"""A pass with edges ablated: equal to slower and independent ways to the same numbers."""

import numpy as np
import pytest
import torch
from circuits.ablation_oracles import (
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
from timelapse.circuits.intervention.ablation import Ablation, mean, resample, zero
from timelapse.circuits.intervention.forward import logit_differences
from timelapse.circuits.model_check import graph_shape
from timelapse.models.metric_values import last_logits, logit_difference
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
) -> Ablation:
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
    found = logit_differences(bridge, shape, prompts, ablation, everything)
    clean = measured(bridge, prompts, prompts.tokens)
    corrupted = measured(bridge, prompts, prompts.corrupted["swap"])
    assert (clean - corrupted).abs().max() > 0.1
    torch.testing.assert_close(found, clean.repeat(2, 1), rtol=1e-5, atol=1e-5)


@MODELS
def test_with_no_edge_from_the_input_it_is_the_corrupted_run(
    boot: Boot, config: PretrainedConfig
) -> None:
    """Whether the other edges are kept or not: what they carry is the same in both worlds."""
    bridge, prompts = boot(random_model(config)), random_prompts(3, length=8)
    shape = graph_shape(bridge)
    others = [source.kind != "input" for source, _ in shape.edges]
    circuits = torch.tensor([others, [False] * len(others)])
    ablation = resample(bridge, shape, prompts, "swap")
    found = logit_differences(bridge, shape, prompts, ablation, circuits)
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
    found = logit_differences(
        bridge, shape, prompts, ablation_of(kind, bridge, shape, prompts), circuits
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
    found = logit_differences(bridge, shape, prompts, ablation, circuits)
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


def test_circuits_do_not_disturb_each_other(gpt2: TransformerBridge) -> None:
    """One pass for many circuits gives what a pass for each of them gives, in their order."""
    prompts, shape = random_prompts(3, length=6), graph_shape(gpt2)
    ablation = resample(gpt2, shape, prompts, "swap")
    circuits = random_circuits(shape).flip(0)
    together = logit_differences(gpt2, shape, prompts, ablation, circuits)
    assert together.std(0).min() > 1e-3
    for rows in (1, 6):
        parts = logit_differences(gpt2, shape, prompts, ablation, circuits, rows)
        torch.testing.assert_close(parts, together, rtol=1e-5, atol=1e-5)


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
    alone = logit_differences(gpt2, shape, late, resample(gpt2, shape, late, "swap"), circuits)
    both = logit_differences(gpt2, shape, mixed, resample(gpt2, shape, mixed, "swap"), circuits)
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
        found = logit_differences(bridge, shape, prompts, ablation, everything)
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
        found[dtype] = logit_differences(bridge, shape, prompts, ablation, circuits)
        assert found[dtype].dtype == torch.float32
    exact, rounded = found.values()
    assert 1e-5 < (exact - rounded).abs().max() < 0.1 * exact.abs().max()


def test_the_model_is_left_without_hooks(gpt2: TransformerBridge) -> None:
    prompts, shape = random_prompts(2, length=6), graph_shape(gpt2)
    before = gpt2(prompts.tokens)
    ablation = resample(gpt2, shape, prompts, "swap")
    logit_differences(gpt2, shape, prompts, ablation, random_circuits(shape))
    assert not gpt2.list_hooks()
    torch.testing.assert_close(gpt2(prompts.tokens), before, rtol=0, atol=0)
