"""Exact edge patching: the effect of every edge, one by one."""

import numpy as np
import pytest
import torch
from circuits.ablation_oracles import ablated_run, written_when_corrupted
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.circuits.intervention.evaluate import exact
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_shape
from timelapse.models.hooks import last_logits
from timelapse.models.metric import LOGIT_DIFF, logit_difference


@pytest.mark.parametrize(
    "config",
    [gpt2_config(), llama_config(num_attention_heads=2, num_key_value_heads=1), neox_config()],
    ids=["gpt2", "llama", "neox"],
)
@pytest.mark.parametrize("ablation", ["resample", "mean"])
def test_a_score_is_what_corrupting_that_edge_alone_does(
    boot: Boot, config: PretrainedConfig, ablation: str
) -> None:
    bridge = boot(random_model(config, dtype=torch.float64))
    prompts, shape = random_prompts(3, length=6), graph_shape(bridge)
    written = written_when_corrupted(bridge, shape, prompts, "swap")
    if ablation == "mean":
        written = {source: w.mean(0, keepdim=True) for source, w in written.items()}
    clean = logit_difference(last_logits(bridge, prompts.tokens), prompts.answer, prompts.foils)
    settings = MethodSettings(batch=100, ablation=ablation)
    (found,) = exact(bridge, shape, [prompts], "swap", settings, LOGIT_DIFF)
    assert found.scores.shape == (len(shape.edges), 3)
    expected = []
    for edge in range(len(shape.edges)):
        kept = [other != edge for other in range(len(shape.edges))]
        expected.append(ablated_run(bridge, shape, prompts, written, kept) - clean)
    assert torch.stack(expected).abs().median() > 1e-4
    torch.testing.assert_close(found.scores, torch.stack(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ablation", ["resample", "mean", "zero"])
def test_scores_do_not_depend_on_the_batch_size(gpt2: TransformerBridge, ablation: str) -> None:
    prompts, shape = random_prompts(5, length=6), graph_shape(gpt2)
    scores, rows = {}, {}
    for batch in (2, 100):
        settings = MethodSettings(batch=batch, ablation=ablation)
        found = list(exact(gpt2, shape, [prompts], "swap", settings, LOGIT_DIFF))
        scores[batch] = torch.cat([part.scores for part in found], dim=1)
        rows[batch] = np.concatenate([part.rows for part in found])
        assert max(part.scores.shape[1] for part in found) <= batch
    assert scores[100].abs().max() > 1e-2
    torch.testing.assert_close(scores[2], scores[100], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(rows[2], rows[100])
