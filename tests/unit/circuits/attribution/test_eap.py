"""Edge attribution: equal to slower and independent ways to the same numbers."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from circuits.attribution.scoring import edge_scores, largest_difference
from circuits.oracles import Scores, transformer_lens_scores
from circuits.score_batches import score_batches
from tiny_models import Boot, gpt2_config, neox_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2LMHeadModel, PretrainedConfig

from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import graph_of, graph_shape
from timelapse.circuits.scores import MeanScores
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prompts import Prompts


def eap(
    bridge: TransformerBridge, prompts: list[Prompts], batch: int, corruption: str = "swap"
) -> pa.Table:
    """The edges table that the method makes."""
    shape = graph_of(bridge, prompts, corruption, LOGIT_DIFF)
    means = MeanScores()
    for found in score_batches(
        "EAP", bridge, shape, prompts, corruption, MethodSettings(batch=batch)
    ):
        means.add(found)
    return means.edges(shape, corruption, "EAP")


def as_scores(table: pa.Table) -> Scores:
    rows = table.select(["source", "target", "score"]).to_pylist()
    return {(row["source"], row["target"]): row["score"] for row in rows}


@pytest.mark.parametrize("config", [gpt2_config(), neox_config()], ids=["gpt2", "neox"])
@pytest.mark.parametrize(("method", "steps"), [("EAP", 1), ("EAP-IG", 1), ("EAP-IG", 4)])
def test_scores_equal_those_of_transformer_lens(
    boot: Boot, config: PretrainedConfig, method: str, steps: int
) -> None:
    bridge = boot(random_model(config))
    prompts = random_prompts(3, length=6)
    found = edge_scores(bridge, prompts, method, ig_steps=steps)
    expected = transformer_lens_scores(bridge, prompts, "swap", steps)
    assert largest_difference(found, expected) < 1e-5


def test_prompts_count_equally_whatever_their_length(gpt2: TransformerBridge) -> None:
    short, long = random_prompts(2, length=5), random_prompts(4, length=8, foils=1)
    alone = [eap(gpt2, [bucket], 4)["score"].to_numpy() for bucket in (short, long)]
    together = eap(gpt2, [short, long], 4)["score"].to_numpy()
    assert np.abs(alone[0] - alone[1]).max() > 1e-2
    np.testing.assert_allclose(together, (2 * alone[0] + 4 * alone[1]) / 6, atol=1e-6)


def test_what_other_prompts_of_the_batch_differ_in_does_not_matter(
    gpt2: TransformerBridge,
) -> None:
    """Positions before the first difference of a batch are skipped; they add nothing."""
    early, late = random_prompts(2, 6, corrupted_from=0), random_prompts(2, 6, corrupted_from=3)
    mixed = Prompts(
        rows=np.arange(4),
        tokens=torch.cat([early.tokens, late.tokens]),
        answer=torch.cat([early.answer, late.answer]),
        foils=torch.cat([early.foils, late.foils]),
        corrupted={"swap": torch.cat([early.corrupted["swap"], late.corrupted["swap"]])},
        positions={},
    )
    shape = graph_shape(gpt2)
    (alone,) = score_batches("EAP", gpt2, shape, [late], "swap", MethodSettings())
    (among_others,) = score_batches("EAP", gpt2, shape, [mixed], "swap", MethodSettings())
    assert alone.scores.abs().max() > 1e-2
    torch.testing.assert_close(among_others.scores[:, 2:], alone.scores)


def test_the_standard_error_is_that_of_the_mean_over_prompts(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(5, length=6)
    each = np.stack(
        [eap(gpt2, [prompts[row : row + 1]], 1)["score"].to_numpy() for row in range(5)]
    )
    found = eap(gpt2, [prompts], batch=2)["std_error"].to_numpy()
    assert found.max() > 1e-2
    np.testing.assert_allclose(found, each.std(0, ddof=1) / np.sqrt(5), atol=1e-6)


def test_a_model_computed_by_hand(boot: Boot) -> None:
    """One head that averages the positions and doubles them, no MLP, norms that change nothing.

    The logit difference of three words is u.(last + 2 mean). Another word in the first place adds d
    there, u.d = 5: by 2/3 u.d through the value. In the last place it also adds u.d directly.
    """
    model = GPT2LMHeadModel(
        gpt2_config(
            n_embd=4, n_layer=1, n_head=1, layer_norm_epsilon=1e12, tie_word_embeddings=False
        )
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        block = model.transformer.h[0]
        for norm in (block.ln_1, block.ln_2, model.transformer.ln_f):
            norm.weight.fill_(1e6)
        block.attn.c_attn.weight[:, 8:] = torch.eye(4)
        block.attn.c_proj.weight.copy_(2 * torch.eye(4))
        model.transformer.wte.weight[5] = torch.tensor([1.0, -1.0, 0.0, 0.0])
        model.transformer.wte.weight[6] = torch.tensor([0.0, 0.0, 2.0, -2.0])
        model.lm_head.weight[7] = torch.tensor([0.0, 0.0, 2.0, 0.0])
        model.lm_head.weight[8] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    prompts = Prompts(
        rows=np.arange(2),
        tokens=torch.tensor([[5, 5, 5], [5, 5, 5]]),
        answer=torch.tensor([7, 7]),
        foils=torch.tensor([[8], [8]]),
        corrupted={"other": torch.tensor([[6, 5, 5], [5, 5, 6]])},
        positions={},
    )
    table = eap(boot(model), [prompts], batch=2, corruption="other")
    expected = dict.fromkeys(as_scores(table), 0.0)
    expected["input", "a0.h0<v>"] = expected["a0.h0", "logits"] = 5 * 2 / 3
    expected["input", "logits"] = (0 + 5) / 2
    assert as_scores(table) == pytest.approx(expected, abs=1e-5)
    errors = {(row["source"], row["target"]): row["std_error"] for row in table.to_pylist()}
    assert errors["input", "logits"] == pytest.approx(2.5, abs=1e-5)
    assert errors["input", "a0.h0<v>"] == pytest.approx(0.0, abs=1e-5)
