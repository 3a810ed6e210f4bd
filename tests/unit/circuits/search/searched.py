"""What the tests of the searches search in: random models, prompts of two lengths."""

import pytest
import torch
from tiny_models import (
    SPECIAL,
    Boot,
    gpt2_config,
    llama_config,
    neox_config,
    random_model,
    random_prompts,
)
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig, Qwen3Config

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_shape
from timelapse.models.metric import LOGIT_DIFF
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
KINDS = pytest.mark.parametrize("kind", ["resample", "mean", "zero"])
CORRUPTION = "swap"


def random_bridge(boot: Boot, config: PretrainedConfig, seed: int = 1) -> TransformerBridge:
    """In float64, so that no decision hangs on rounding."""
    return boot(random_model(config, seed=seed, dtype=torch.float64))


def two_lengths() -> list[Prompts]:
    """Three short prompts with two foils and two longer ones with one."""
    return [random_prompts(3, length=6), random_prompts(2, length=8, foils=1)]


def evaluator_of(
    bridge: TransformerBridge, buckets: list[Prompts], settings: MethodSettings
) -> tuple[CircuitEvaluator, GraphShape]:
    shape = graph_shape(bridge)
    evaluator = CircuitEvaluator(
        bridge, shape, buckets, CORRUPTION, LOGIT_DIFF, settings.ablation, settings.batch
    )
    return evaluator, shape


def turned_round(buckets: list[Prompts]) -> list[Prompts]:
    """The same prompts with answer and first foil in each other's place, that foil alone."""
    return [
        Prompts(
            **{
                **vars(prompts),
                "answer": prompts.foils[:, 0],
                "foils": prompts.answer[:, None],
            }
        )
        for prompts in buckets
    ]
