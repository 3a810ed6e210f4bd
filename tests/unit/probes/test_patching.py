"""Activation patching: equal to TransformerLens' cell by cell, and exact where it takes no run."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
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
from transformer_lens import patching as oracle
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, GPTNeoConfig, PreTrainedModel

from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.metric import LOGIT_DIFF, METRICS, PROBABILITY_DIFF, Metric, logit_difference
from timelapse.models.prompts import Prompts
from timelapse.probes.patching.fast_decoder import Decoder
from timelapse.probes.patching.fast_patching import SuffixPatcher
from timelapse.probes.patching.grid import HEAD_SITES, HOOKS, POSITION_SITES, Cell, shares
from timelapse.probes.patching.hooked import HookedPatcher, PairedRuns, paired_runs
from timelapse.probes.patching.patching import fitting_patcher, patching
from timelapse.tables import PATCHING

ORACLES = {
    "resid_pre": oracle.get_act_patch_resid_pre,
    "attn_out": oracle.get_act_patch_attn_out,
    "mlp_out": oracle.get_act_patch_mlp_out,
    "z": oracle.get_act_patch_attn_head_out_all_pos,
    "q": oracle.get_act_patch_attn_head_q_all_pos,
    "k": oracle.get_act_patch_attn_head_k_all_pos,
    "v": oracle.get_act_patch_attn_head_v_all_pos,
    "pattern": oracle.get_act_patch_attn_head_pattern_all_pos,
}
CONFIGS = {
    "gpt2": gpt2_config(n_layer=3),
    "gpt2 relu": gpt2_config(activation_function="relu"),
    "gpt2 scaled by layer": gpt2_config(scale_attn_by_inverse_layer_idx=True),
    "llama": llama_config(),
    "neox": neox_config(),
}
FAST = {"gpt2", "gpt2 relu"}
ALL_CONFIGS = pytest.mark.parametrize("name", CONFIGS)


def paired(bridge: TransformerBridge, prompts: Prompts, metric: Metric = LOGIT_DIFF) -> PairedRuns:
    (runs,) = paired_runs(bridge, prompts, ["swap"], metric)
    return runs


def by_hand(
    bridge: TransformerBridge, prompts: Prompts
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Effects [layer, position or head, prompt] and gaps, from TransformerLens' own patching."""

    def measure(logits: torch.Tensor) -> torch.Tensor:
        return logit_difference(logits[:, -1], prompts.answer, prompts.foils)

    corrupted = prompts.corrupted["swap"]
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(prompts.tokens)
        before, after = measure(bridge(corrupted)), measure(logits)
        return {
            site: (
                (patch(bridge, corrupted, cache, measure, reduce="none").values - before).numpy(),
                (after - before).numpy(),
            )
            for site, patch in ORACLES.items()
        }


def shares_of(table: pa.Table, site: str) -> np.ndarray:
    """Values [layer, position or head]."""
    rows = [row for row in table.to_pylist() if row["site"] == site]
    return np.array([row["value"] for row in rows]).reshape(rows[-1]["layer"] + 1, -1)


@ALL_CONFIGS
def test_every_cell_equals_that_of_transformer_lens(boot: Boot, name: str) -> None:
    bridge = boot(random_model(CONFIGS[name]))
    prompts = random_prompts(5, length=8)
    table = patching(bridge, [prompts], ["swap"], batch_size=4)
    runs = paired(bridge, prompts)
    assert isinstance(fitting_patcher(bridge, Decoder.of(bridge), runs), SuffixPatcher) == (
        name in FAST
    )
    for site, (effects, gaps) in by_hand(bridge, prompts).items():
        expected = effects.mean(-1) / gaps.mean()
        assert np.abs(expected).max() > 0.02
        np.testing.assert_allclose(shares_of(table, site), expected, atol=1e-4, err_msg=site)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_model_in_compatibility_mode_is_patched_as_it_is(boot: Boot, name: str) -> None:
    bridge = boot(random_model(CONFIGS[name]))
    bridge.enable_compatibility_mode(disable_warnings=True)
    prompts = random_prompts(4, length=8)
    table = patching(bridge, [prompts], ["swap"], batch_size=4)
    for site, (effects, gaps) in by_hand(bridge, prompts).items():
        expected = effects.mean(-1) / gaps.mean()
        np.testing.assert_allclose(shares_of(table, site), expected, atol=1e-4, err_msg=site)


def test_a_pattern_is_patched_even_where_the_models_own_is_out_of_reach(boot: Boot) -> None:
    """GPT-Neo's attention discards edits of its pattern."""
    shape = {"vocab_size": 30, "hidden_size": 16, "max_position_embeddings": 16, **SPECIAL}
    layers = {"num_layers": 2, "num_heads": 2, "window_size": 3}
    neo = GPTNeoConfig(attention_types=[[["global", "local"], 1]], **layers, **shape)
    bridge = boot(random_model(neo))
    prompts = random_prompts(4, length=8)
    runs = paired(bridge, prompts)
    table = patching(bridge, [prompts], ["swap"], batch_size=4)
    gaps = (runs.clean_value - runs.corrupted_value).mean()
    for layer, head in np.ndindex(2, 2):
        pattern = runs.clean[hooks.pattern(layer)][:, head]
        made = pattern @ runs.corrupted[hooks.value(layer)][:, :, head]

        def put(z: torch.Tensor, hook: object, made=made, head=head) -> torch.Tensor:
            z[:, :, head] = made
            return z

        with bridge.hooks(fwd_hooks=[(hooks.z(layer), put)]), torch.no_grad():
            logits = bridge(prompts.corrupted["swap"])[:, -1]
        effect = logit_difference(logits, prompts.answer, prompts.foils) - runs.corrupted_value
        assert effect.abs().max() > 1e-2
        expected = float(effect.mean() / gaps)
        assert shares_of(table, "pattern")[layer, head] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("part", ["attn.W_O", "ln2.weight", "mlp.b_out"])
def test_arithmetic_that_is_not_the_models_is_noticed(gpt2: TransformerBridge, part: str) -> None:
    runs = paired(gpt2, random_prompts(3, length=8))
    decoder = Decoder.of(gpt2)
    assert decoder is not None and decoder.reproduces(runs)
    component, name = part.split(".")
    getattr(getattr(gpt2.blocks[1], component), name).mul_(1.01)
    changed = Decoder.of(gpt2)
    assert changed is not None and not changed.reproduces(runs)


def test_values_do_not_depend_on_batches_or_on_which_cells_run_together(boot: Boot) -> None:
    for name in ("gpt2", "llama"):
        bridge = boot(random_model(CONFIGS[name]))
        prompts = random_prompts(7, length=8)
        whole = patching(bridge, [prompts], ["swap"], batch_size=7)
        for batch_size in (1, 3):
            parts = patching(bridge, [prompts], ["swap"], batch_size)
            for column in ("value", "std_error"):
                np.testing.assert_allclose(parts[column], whole[column], rtol=1e-3, atol=2e-5)


def some_cells(n_layers: int, length: int, heads: int) -> list[Cell]:
    across = {site: length if site in POSITION_SITES else heads for site in HOOKS}
    cells = [
        Cell(s, layer, at) for s in HOOKS for layer in range(n_layers) for at in range(across[s])
    ]
    order = np.random.default_rng(0).permutation(len(cells))
    return [cells[number] for number in order]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_both_ways_agree_on_any_list_of_cells_and_at_any_bound_of_memory(
    boot: Boot, metric: Metric
) -> None:
    """Positions before the first difference included, where nothing is taken as given."""
    bridge = boot(random_model(CONFIGS["gpt2"]))
    runs = paired(bridge, random_prompts(3, length=8), metric)
    decoder = Decoder.of(bridge)
    assert decoder is not None
    cells = some_cells(n_layers=3, length=8, heads=2)
    expected = HookedPatcher(bridge)(runs, cells)
    seen = 1e-3 if metric.is_linear else 1e-4
    assert (expected - runs.corrupted_value).abs().amax(1).gt(seen).sum() > 50
    for patcher in (
        HookedPatcher(bridge, tokens=50),
        SuffixPatcher(decoder),
        SuffixPatcher(decoder, numbers=1),
        SuffixPatcher(decoder, numbers=5000),
    ):
        torch.testing.assert_close(patcher(runs, cells), expected, rtol=0, atol=2e-5)
    one_by_one = torch.cat([SuffixPatcher(decoder)(runs, [cell]) for cell in cells])
    torch.testing.assert_close(one_by_one, expected, rtol=0, atol=2e-5)


@ALL_CONFIGS
def test_a_part_before_the_first_difference_is_exactly_0(boot: Boot, name: str) -> None:
    bridge = boot(random_model(CONFIGS[name]))
    rows = patching(bridge, [random_prompts(4, length=8)], ["swap"], batch_size=4).to_pylist()
    before = [row for row in rows if row["position"] in ("#0", "#1")]
    assert len(before) == 2 * 3 * bridge.cfg.n_layers
    assert all(row["value"] == 0.0 and row["std_error"] == 0.0 for row in before)
    after = [r for r in rows if (r["site"], r["position"]) in (("resid_pre", "#2"), ("z", None))]
    assert min(abs(row["value"]) for row in after) > 1e-4


def test_a_prompt_that_differs_later_than_others_gets_exactly_0_there(
    gpt2: TransformerBridge,
) -> None:
    early, late = (
        random_prompts(2, length=8, corrupted_from=1),
        random_prompts(3, 8, corrupted_from=4),
    )
    alone = patching(gpt2, [late], ["swap"], batch_size=4)
    both = patching(gpt2, [joined(early, late)], ["swap"], batch_size=8)
    where = [(row["site"], row["layer"], row["position"]) for row in alone.to_pylist()]
    cell = where.index(("resid_pre", 1, "#2"))
    assert alone["value"].to_numpy()[cell] == 0.0
    assert abs(both["value"].to_numpy()[cell]) > 1e-3
    effects = [np.array(patching(gpt2, [part], ["swap"], 4)["value"]) for part in (early, late)]
    gaps = [gap(gpt2, part) for part in (early, late)]
    expected = (effects[0] * gaps[0] + effects[1] * gaps[1]) / (gaps[0] + gaps[1])
    np.testing.assert_allclose(both["value"], expected, atol=1e-4)


def joined(one: Prompts, other: Prompts) -> Prompts:
    """Both in one bucket."""
    return Prompts(
        rows=np.arange(len(one) + len(other)),
        tokens=torch.cat([one.tokens, other.tokens]),
        answer=torch.cat([one.answer, other.answer]),
        foils=torch.cat([one.foils, other.foils]),
        corrupted={"swap": torch.cat([one.corrupted["swap"], other.corrupted["swap"]])},
        positions={
            label: torch.cat([index, other.positions[label]])
            for label, index in one.positions.items()
        },
    )


def gap(bridge: TransformerBridge, prompts: Prompts) -> float:
    """The sum of the prompts' clean minus corrupted logit differences."""
    runs = paired(bridge, prompts)
    return float((runs.clean_value - runs.corrupted_value).sum())


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_prompts_of_unequal_length_are_as_alone(boot: Boot, name: str) -> None:
    """Only labelled positions are common to them; each prompt counts by its gap."""
    bridge = boot(random_model(CONFIGS[name]))
    short, long = random_prompts(3, length=6), random_prompts(2, length=9, foils=1)
    together = patching(bridge, [short, long], ["swap"], batch_size=2).to_pylist()
    assert {row["position"] for row in together} == {"end", None}
    weights = [gap(bridge, part) for part in (short, long)]
    alone = [patching(bridge, [part], ["swap"], 4).to_pylist() for part in (short, long)]
    kept = [[r["value"] for r in rows if r["position"] in ("end", None)] for rows in alone]
    expected = (np.array(kept) * np.array(weights)[:, None]).sum(0) / sum(weights)
    np.testing.assert_allclose([row["value"] for row in together], expected, atol=1e-4)


def test_patching_the_whole_stream_of_the_first_layer_restores_everything(boot: Boot) -> None:
    """Prompts that differ in one token only: its cell is the whole difference."""
    for name in CONFIGS:
        prompts = random_prompts(4, length=8)
        tokens = prompts.tokens.clone()
        tokens[:, 3] = prompts.corrupted["swap"][:, 2]
        bridge = boot(random_model(CONFIGS[name]))
        table = patching(bridge, [replace(prompts, corrupted={"one": tokens})], ["one"], 4)
        rows = {(r["site"], r["layer"], r["position"]): r for r in table.to_pylist()}
        restored = rows["resid_pre", 0, "#3"]
        assert restored["value"] == pytest.approx(1, abs=1e-4)
        assert restored["std_error"] < 1e-4
        assert rows["resid_pre", 0, "end"]["value"] == pytest.approx(0, abs=1e-4)


def test_labels_lie_at_another_token_in_every_prompt(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(4, length=8)
    at = torch.tensor([2, 5, 3, 2])
    labelled = replace(prompts, positions={**prompts.positions, "name": at})
    table = patching(gpt2, [labelled], ["swap"], batch_size=3)
    assert table.schema == PATCHING.remove(0)
    order = list(dict.fromkeys(row["position"] for row in table.to_pylist()))
    assert order == ["#0", "#1", "name", "#4", "#6", "end", None]
    column = order.index("name")
    for site, (effects, gaps) in by_hand(gpt2, prompts).items():
        if site in POSITION_SITES:
            expected = effects[:, at, np.arange(4)].mean(-1) / gaps.mean()
            assert np.abs(expected).max() > 0.01
            np.testing.assert_allclose(shares_of(table, site)[:, column], expected, atol=1e-4)


def test_a_label_counts_the_prompts_that_have_it(gpt2: TransformerBridge) -> None:
    bare, both = random_prompts(3, length=8), random_prompts(2, length=8, seed=1)
    both = replace(both, positions={**both.positions, "name": torch.tensor([2, 4])})
    apart = patching(gpt2, [both], ["swap"], batch_size=4).to_pylist()
    mixed = patching(gpt2, [bare, both], ["swap"], batch_size=4).to_pylist()
    found = [
        [(r["value"], r["std_error"]) for r in rows if r["position"] == "name"]
        for rows in (mixed, apart)
    ]
    np.testing.assert_allclose(*found, atol=1e-6)


def test_an_unlabelled_token_is_named_if_it_is_the_same_in_every_prompt(
    gpt2: TransformerBridge,
) -> None:
    prompts = random_prompts(4, length=8)
    prompts.tokens[:, 3] = prompts.corrupted["swap"][:, 3] = 9
    names = set(patching(gpt2, [prompts], ["swap"], batch_size=3)["position"].to_pylist())
    text = gpt2.tokenizer.decode([9]).strip()
    assert names == {"#0", "#1", "#2", f"#3 {text}", "#4", "#5", "#6", "end", None}


def test_corruptions_stand_one_after_the_other_as_if_alone(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(4, length=8)
    other = random_prompts(4, length=8, seed=1, corrupted_from=3).corrupted["swap"]
    prompts = replace(prompts, corrupted={**prompts.corrupted, "other": other})
    together = patching(gpt2, [prompts], ["swap", "other"], batch_size=4)
    alone = [patching(gpt2, [prompts], [name], batch_size=4) for name in ("swap", "other")]
    assert together.equals(pa.concat_tables(alone).combine_chunks())


def test_another_metric_is_restored_by_its_own_share(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(4, length=8)
    table = patching(gpt2, [prompts], ["swap"], 4, PROBABILITY_DIFF).to_pylist()
    runs = paired(gpt2, prompts, PROBABILITY_DIFF)
    (patched,) = HookedPatcher(gpt2)(runs, [Cell("z", 1, 0)])
    share = (patched - runs.corrupted_value).mean() / (
        runs.clean_value - runs.corrupted_value
    ).mean()
    (row,) = [r for r in table if (r["site"], r["layer"], r["head"]) == ("z", 1, 0)]
    assert row["value"] == pytest.approx(float(share), abs=1e-4)


def test_a_corruption_equal_to_its_clean_prompt_is_refused(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(3, length=6)
    prompts.corrupted["swap"][1] = prompts.tokens[1]
    with pytest.raises(UserError, match="row 1 equals its clean one") as caught:
        patching(gpt2, [prompts], ["swap"], batch_size=2)
    assert caught.value.key == "corrupted_swap"


def test_shares_are_a_ratio_of_means() -> None:
    value, error = shares(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([2.0, 6.0]))
    assert value.tolist() == [0.5, 0.0]
    assert error.tolist() == [0.0, 0.0]
    value, error = shares(np.array([[1.0, 1.0, np.nan]]), np.array([1.0, 3.0, 100.0]))
    assert value.tolist() == [0.5]
    assert error.tolist() == [pytest.approx(0.25)]
    assert np.isnan(shares(np.array([[1.0]]), np.array([2.0]))[1]).all()


def test_the_standard_error_is_the_spread_of_repeated_samples() -> None:
    random = np.random.default_rng(0)
    gaps = random.normal(3, 0.8, (4000, 50))
    effects = 0.4 * gaps + random.normal(0, 0.5, gaps.shape)
    found = [shares(effect[None], gap) for effect, gap in zip(effects, gaps, strict=True)]
    values, errors = np.array(found)[..., 0].T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.05)


def test_the_standard_error_of_a_cell_is_that_of_its_prompts(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(6, length=8)
    effects, gaps = by_hand(gpt2, prompts)["z"]
    rows = [r for r in patching(gpt2, [prompts], ["swap"], 4).to_pylist() if r["site"] == "z"]
    for row in rows:
        effect = effects[row["layer"], row["head"]]
        rest = effect - effect.mean() / gaps.mean() * gaps
        expected = np.sqrt((rest**2).sum() / 5 / 6) / abs(gaps.mean())
        assert expected > 1e-3
        assert row["std_error"] == pytest.approx(expected, rel=1e-3)


def test_heads_that_share_keys_and_values_count_once(boot: Boot) -> None:
    rows = patching(
        boot(random_model(llama_config())), [random_prompts(2, 6)], ["swap"], 2
    ).to_pylist()
    heads = {s: {row["head"] for row in rows if row["site"] == s} for s in HEAD_SITES}
    assert heads["k"] == heads["v"] == {0, 1}
    assert heads["z"] == heads["q"] == heads["pattern"] == {0, 1, 2, 3}


def test_a_hand_made_model_copies_through_one_head(boot: Boot) -> None:
    """Head 1 of layer 0 copies the word at position 2 onto later ones, which read out the answer.

    So the word matters at position 2 below that layer and at the end above it; of the head it is
    the values that matter, since it looks at position 2 whatever stands there.
    """
    bridge = boot(copying_model())
    words = torch.tensor([[4, 5, 6, 7], [5, 4, 7, 6]])
    corrupted = words.clone()
    corrupted[:, 2] = torch.tensor([5, 4])
    prompts = Prompts(
        rows=np.arange(2),
        tokens=words,
        answer=words[:, 2],
        foils=corrupted[:, 2:3],
        corrupted={"other": corrupted},
        positions={"end": torch.tensor([3, 3])},
    )
    table = patching(bridge, [prompts], ["other"], batch_size=2).to_pylist()
    value = {(r["site"], r["layer"], r["head"], r["position"]): r["value"] for r in table}
    assert value["resid_pre", 0, None, "#2"] == pytest.approx(1, abs=1e-4)
    assert value["resid_pre", 1, None, "#2"] == pytest.approx(0, abs=1e-4)
    assert value["resid_pre", 1, None, "end"] == pytest.approx(1, abs=1e-4)
    assert value["attn_out", 0, None, "end"] == pytest.approx(1, abs=1e-4)
    assert value["mlp_out", 0, None, "end"] == pytest.approx(0, abs=1e-4)
    for site, restored in {"z": 1, "v": 1, "q": 0, "k": 0, "pattern": 0}.items():
        assert value[site, 0, 1, None] == pytest.approx(restored, abs=1e-4), site
        assert value[site, 0, 0, None] == pytest.approx(0, abs=1e-4), site


def copying_model() -> PreTrainedModel:
    """A GPT-2 that copies through one head.

    Channels 0-3 of the stream hold the word, 7 marks position 2, and 8-11 what the head wrote,
    which alone the unembedding reads. In head 1, a constant query meets a key made of the mark.
    """
    model = AutoModelForCausalLM.from_config(
        gpt2_config(n_embd=16, n_layer=2, n_head=2, tie_word_embeddings=False)
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if ".ln_" in name and name.endswith("weight") else 0.0)
        for word in range(4, 8):
            model.transformer.wte.weight[word, word - 4] = 1.0
            model.lm_head.weight[word, 8 + word - 4] = 5.0
        model.transformer.wpe.weight[2, 7] = 4.0
        attention = model.transformer.h[0].attn
        attention.c_attn.bias[8] = 40.0
        attention.c_attn.weight[7, 16 + 8] = 10.0
        for channel in range(4):
            attention.c_attn.weight[channel, 32 + 8 + channel] = 1.0
            attention.c_proj.weight[8 + channel, 8 + channel] = 1.0
    return model.eval()
