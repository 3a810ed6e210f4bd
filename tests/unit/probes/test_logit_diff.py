"""The logit difference taken apart: the parts add up, and equal TransformerLens' own."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_models import (
    Boot,
    gpt2_config,
    llama_config,
    neox_config,
    random_model,
    random_prompts,
)
from transformer_lens.model_bridge import TransformerBridge
from transformers import Gemma2Config, PretrainedConfig

from timelapse.activations.source import LiveSource
from timelapse.errors import UserError
from timelapse.models.metric import PROBABILITY_DIFF
from timelapse.models.prompts import Prompts
from timelapse.probes import logit_diff as probe
from timelapse.probes.logit_diff import readout_constant
from timelapse.tables import LOGIT_DIFF

CONFIGS = pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), neox_config()], ids=["gpt2", "llama", "neox"]
)


def logit_diff(bridge: TransformerBridge, prompts: Sequence[Prompts], batch_size: int) -> pa.Table:
    """The probe on activations straight from the model."""
    source = LiveSource(bridge, probe.needs(bridge.cfg))
    return probe.logit_diff(bridge, source, prompts, batch_size)


def values(table: pa.Table, decomposition: str) -> dict[str, float]:
    rows = table.to_pylist()
    return {r["component"]: r["value"] for r in rows if r["decomposition"] == decomposition}


@CONFIGS
def test_the_end_of_the_stream_plus_the_biases_is_the_logit_difference(
    boot: Boot, config: PretrainedConfig
) -> None:
    bridge = boot(random_model(config))
    bridge.b_U.copy_(torch.linspace(-1, 1, 30))
    prompts = random_prompts(4, length=6)
    with torch.no_grad():
        logits = bridge(prompts.tokens)[:, -1]
    measured = logits.gather(1, prompts.answer[:, None])[:, 0] - logits.gather(
        1, prompts.foils
    ).mean(1)
    constant = readout_constant(bridge, prompts).mean().item()
    found = values(logit_diff(bridge, [prompts], batch_size=3), "stream")["final"]
    assert abs(found) > 1e-2
    assert found + constant == pytest.approx(measured.mean().item(), abs=1e-5)


def test_the_bias_of_the_final_norm_is_left_out(gpt2: TransformerBridge) -> None:
    assert readout_constant(gpt2, random_prompts(4, length=6)).abs().min() > 1e-3


@CONFIGS
def test_layers_add_up_to_the_stream_and_heads_to_their_layer(
    boot: Boot, config: PretrainedConfig
) -> None:
    table = logit_diff(boot(random_model(config)), [random_prompts(4, length=6)], batch_size=4)
    stream, layer, head = (values(table, name) for name in ("stream", "layer", "head"))
    assert min(abs(value) for value in layer.values()) > 1e-4
    assert sum(layer.values()) == pytest.approx(stream["final"], abs=1e-5)
    for attention in ("a0", "a1"):
        parts = [value for name, value in head.items() if name.startswith(attention)]
        assert sum(parts) == pytest.approx(layer[attention], abs=1e-5)
    so_far = layer["input"] + layer["a0"] + layer["m0"]
    assert so_far == pytest.approx(stream["pre1"], abs=1e-5)


def test_parts_equal_those_of_transformer_lens(boot: Boot) -> None:
    """Its attributions hold in compatibility mode only, with the final norm's weight folded away.

    The folding of value biases would move contributions from the heads to the attention's bias.
    """
    prompts = random_prompts(4, length=6, foils=1)
    table = logit_diff(boot(random_model(gpt2_config())), [prompts], batch_size=4)
    folded = boot(random_model(gpt2_config()))
    folded.enable_compatibility_mode(disable_warnings=True, fold_value_biases=False)
    folded.set_use_attn_result(True)
    with torch.no_grad():
        _, cache = folded.run_with_cache(prompts.tokens)

        def attributed(stack: torch.Tensor) -> np.ndarray:
            return (
                cache.logit_attrs(
                    stack, prompts.answer, incorrect_tokens=prompts.foils[:, 0], pos_slice=-1
                )
                .mean(1)
                .numpy()
            )

        stream = attributed(cache.accumulated_resid(incl_mid=True, pos_slice=-1))
        layer = attributed(cache.decompose_resid(pos_slice=-1))
        head = attributed(cache.stack_head_results(pos_slice=-1))
    apart = {
        "stream": np.subtract(list(values(table, "stream").values()), stream),
        "layer": np.subtract(
            list(values(table, "layer").values()), [layer[0] + layer[1], *layer[2:]]
        ),
        "head": np.subtract(
            [v for name, v in values(table, "head").items() if "bias" not in name], head
        ),
    }
    assert min(np.abs(part).min() for part in (stream, layer, head)) > 1e-4
    largest = {decomposition: np.abs(part).max() for decomposition, part in apart.items()}
    assert max(largest.values()) < 1e-4, largest


def test_values_do_not_depend_on_the_batch_size(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(7, length=6)
    whole = logit_diff(gpt2, [prompts], batch_size=7)
    for batch_size in (1, 3):
        parts = logit_diff(gpt2, [prompts], batch_size)
        for column in ("value", "std_error"):
            np.testing.assert_allclose(parts[column], whole[column], rtol=1e-4, atol=1e-6)


def test_prompts_count_equally_whatever_their_length(gpt2: TransformerBridge) -> None:
    short, long = random_prompts(2, length=5), random_prompts(4, length=8, foils=1)
    alone = [logit_diff(gpt2, [bucket], 4)["value"].to_numpy() for bucket in (short, long)]
    together = logit_diff(gpt2, [short, long], 4)["value"].to_numpy()
    assert np.abs(alone[0] - alone[1]).max() > 1e-2
    np.testing.assert_allclose(together, (2 * alone[0] + 4 * alone[1]) / 6, atol=1e-6)


def test_the_standard_error_is_that_of_the_mean_over_prompts(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(5, length=6)
    each = np.stack(
        [logit_diff(gpt2, [prompts[row : row + 1]], 1)["value"].to_numpy() for row in range(5)]
    )
    found = logit_diff(gpt2, [prompts], batch_size=2)["std_error"].to_numpy()
    assert found.max() > 1e-2
    np.testing.assert_allclose(found, each.std(0, ddof=1) / np.sqrt(5), atol=1e-6)


def test_rows_come_in_the_order_of_the_model(gpt2: TransformerBridge) -> None:
    table = logit_diff(gpt2, [random_prompts(2, length=6)], batch_size=2)
    assert table.schema == LOGIT_DIFF.remove(0)
    depth = dict(zip(table["component"].to_pylist(), table["layer"].to_pylist(), strict=True))
    assert list(values(table, "stream")) == ["input", "mid0", "pre1", "mid1", "final"]
    assert [depth[name] for name in values(table, "stream")] == [0, 0.5, 1, 1.5, 2]
    assert list(values(table, "layer")) == ["input", "a0", "m0", "a1", "m1"]
    assert list(values(table, "head")) == [
        *("a0.h0", "a0.h1", "a0.bias"),
        *("a1.h0", "a1.h1", "a1.bias"),
    ]
    heads = table["head"].to_pylist()
    assert heads == [*[None] * 10, 0, 1, None, 0, 1, None]


def test_parallel_blocks_have_no_middle(boot: Boot) -> None:
    table = logit_diff(boot(random_model(neox_config())), [random_prompts(2, length=6)], 2)
    assert list(values(table, "stream")) == ["input", "pre1", "final"]


def test_a_model_that_caps_its_logits_is_refused(boot: Boot) -> None:
    config = Gemma2Config(
        vocab_size=30,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=1.0,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=1,
    )
    with pytest.raises(UserError, match="unembedded final norm"):
        logit_diff(boot(random_model(config)), [random_prompts(2, length=6)], batch_size=2)


def test_a_metric_that_is_no_sum_is_refused(gpt2: TransformerBridge) -> None:
    source = LiveSource(gpt2, probe.needs(gpt2.cfg))
    with pytest.raises(UserError, match="probability_diff is not linear"):
        probe.logit_diff(gpt2, source, [random_prompts(2, 6)], 2, PROBABILITY_DIFF)
