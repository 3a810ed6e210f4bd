"""Logit lens: what TransformerLens reads at every layer, ranks counted by hand."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.activations.source import LiveSource
from timelapse.errors import UserError
from timelapse.models.prompts import Prompts
from timelapse.probes.logit_lens import logit_lens, needs
from timelapse.probes.win_rate import win_rate
from timelapse.tables import LOGIT_LENS, LOGIT_LENS_TOP

CONFIGS = pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), neox_config()], ids=["gpt2", "llama", "neox"]
)


def lens(
    bridge: TransformerBridge, prompts: list[Prompts], batch_size: int = 4, top: int = 3
) -> dict[str, pa.Table]:
    source = LiveSource(bridge, needs(bridge.cfg))
    return logit_lens(bridge, source, prompts, batch_size, top)


def values(table: pa.Table) -> dict[tuple[str, str, str], float]:
    return {(r["place"], r["token"], r["measure"]): r["value"] for r in table.to_pylist()}


def read(bridge: TransformerBridge, prompts: Prompts) -> torch.Tensor:
    """Logits at the last position of TransformerLens' accumulated stream: [place, batch, token]."""
    with torch.no_grad():
        _, cache = bridge.run_with_cache(prompts.tokens)
        stream = cache.accumulated_resid(incl_mid=False, pos_slice=-1)
        return bridge.unembed(bridge.ln_final(stream))


@CONFIGS
def test_probabilities_and_ranks_are_those_of_the_accumulated_stream(
    boot: Boot, config: PretrainedConfig
) -> None:
    bridge = boot(random_model(config))
    bridge.b_U.copy_(torch.linspace(-1, 1, 30))
    prompts = random_prompts(5, length=6)
    logits = read(bridge, prompts)
    found = values(lens(bridge, [prompts])["logit_lens"])
    for number, place in enumerate(("input", "pre1", "final")):
        probability = logits[number].softmax(-1)
        for token, ids in (("answer", prompts.answer[:, None]), ("foil", prompts.foils)):
            expected = probability.gather(1, ids).mean().item()
            assert found[place, token, "probability"] == pytest.approx(expected, abs=1e-6)
            ranks = [
                1 + sum(other > logits[number, row, one] for other in logits[number, row]).item()
                for row in range(5)
                for one in ids[row]
            ]
            assert found[place, token, "rank"] == pytest.approx(np.mean(ranks))
    assert found["final", "answer", "rank"] > 1


@CONFIGS
def test_the_last_place_is_what_the_model_says(boot: Boot, config: PretrainedConfig) -> None:
    model, prompts = random_model(config), random_prompts(5, length=6)
    (expected,) = win_rate(model, [prompts], 5).to_pylist()
    found = values(lens(boot(model), [prompts])["logit_lens"])
    probability = found["final", "answer", "probability"]
    assert probability == pytest.approx(expected["answer_probability"], abs=1e-6)


def test_the_standard_error_is_that_of_the_mean_over_prompts(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(5, length=6)
    each = np.stack(
        [lens(gpt2, [prompts[row : row + 1]])["logit_lens"]["value"] for row in range(5)]
    )
    found = lens(gpt2, [prompts], 2)["logit_lens"]["std_error"]
    np.testing.assert_allclose(found, each.std(0, ddof=1) / 5**0.5, rtol=1e-4)


def test_values_do_not_depend_on_the_batch_size(gpt2: TransformerBridge) -> None:
    prompts = [random_prompts(7, length=6), random_prompts(3, length=9, foils=1)]
    whole, parts = (lens(gpt2, prompts, size) for size in (7, 2))
    for name in whole:
        for column in whole[name].column_names:
            if pa.types.is_floating(whole[name].schema.field(column).type):
                np.testing.assert_allclose(parts[name][column], whole[name][column], rtol=1e-4)
            else:
                assert parts[name][column].equals(whole[name][column])


def test_prompts_count_equally_whatever_their_length(gpt2: TransformerBridge) -> None:
    short, long = random_prompts(2, length=5), random_prompts(4, length=8, foils=1)
    alone = [lens(gpt2, [part])["logit_lens"]["value"].to_numpy() for part in (short, long)]
    together = lens(gpt2, [short, long])["logit_lens"]["value"]
    assert np.abs(alone[0] - alone[1]).max() > 1e-2
    np.testing.assert_allclose(together, (2 * alone[0] + 4 * alone[1]) / 6, rtol=1e-5)


def test_the_likeliest_tokens_come_first_with_their_share_of_prompts(
    gpt2: TransformerBridge,
) -> None:
    prompts = random_prompts(6, length=6)
    table = lens(gpt2, [prompts], top=4)["logit_lens_top"]
    assert table.schema == LOGIT_LENS_TOP.remove(0)
    logits = read(gpt2, prompts)
    for number, place in enumerate(("input", "pre1", "final")):
        rows = [row for row in table.to_pylist() if row["place"] == place]
        mean = logits[number].softmax(-1).mean(0)
        best = mean.argsort(descending=True)[:4]
        assert [row["token"] for row in rows] == [gpt2.tokenizer.decode([int(t)]) for t in best]
        np.testing.assert_allclose([row["probability"] for row in rows], mean[best], atol=1e-6)
        first = logits[number].argmax(-1)
        shares = [(first == token).float().mean().item() for token in best]
        np.testing.assert_allclose([row["share"] for row in rows], shares, atol=1e-6)


def test_no_more_tokens_are_listed_than_there_are(gpt2: TransformerBridge) -> None:
    table = lens(gpt2, [random_prompts(2, length=6)], top=1000)["logit_lens_top"]
    assert len(table) == 3 * 30
    np.testing.assert_allclose(sum(table["share"].to_numpy()), 3, atol=1e-5)


def test_rows_come_in_the_order_of_the_model(gpt2: TransformerBridge) -> None:
    table = lens(gpt2, [random_prompts(2, length=6)])["logit_lens"]
    assert table.schema == LOGIT_LENS.remove(0)
    assert table["place"].to_pylist()[::4] == ["input", "pre1", "final"]
    assert table["layer"].to_pylist()[::4] == [0, 1, 2]


def test_a_model_without_a_known_final_norm_is_refused(gpt2: TransformerBridge) -> None:
    gpt2.cfg.normalization_type = "other"
    with pytest.raises(UserError, match="the logit lens cannot read it"):
        lens(gpt2, [random_prompts(2, length=6)])
