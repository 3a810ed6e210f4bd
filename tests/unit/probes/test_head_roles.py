"""Head roles: heads made for a role score 1, random heads what independent reckoning says."""

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
import torch
from handmade_models import induction_model
from mentions import mentioning_prompts
from tiny_models import WORDS, Boot, gpt2_config, llama_config, neox_config, random_model
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformer_lens.head_detector import (
    compute_head_attention_similarity_score,
    get_duplicate_token_head_detection_pattern,
    get_induction_head_detection_pattern,
    get_previous_token_head_detection_pattern,
)
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from timelapse.activations.source import LiveSource
from timelapse.errors import UserError
from timelapse.models.embedded import word_tokenizer
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.name_movers import (
    ATTENDED,
    COPIED,
    inhibition_scores,
    mover_scores,
    needs,
)
from timelapse.probes.head_roles.repeated_tokens import (
    ordinary_words,
    repeat_attention,
    repeat_scores,
    repeated_words,
)
from timelapse.probes.head_roles.role_definitions import ROLES
from timelapse.probes.head_roles.role_scores import head_roles
from timelapse.running_mean import RunningMean
from timelapse.tables import HEAD_ROLES

CONFIGS = pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), neox_config()], ids=["gpt2", "llama", "neox"]
)
SIZE = {"batch_size": 8, "sequences": 12, "length": 8, "seed": 0}


def roles_of(bridge: TransformerBridge, prompts: list[Prompts], **changes: int) -> pa.Table:
    source = LiveSource(bridge, needs(bridge.cfg))
    return head_roles(bridge, source, prompts, **(SIZE | changes))


def scores(table: pa.Table, role: str) -> dict[tuple[int, int], float | None]:
    rows = [row for row in table.to_pylist() if row["role"] == role]
    return {(row["layer"], row["head"]): row["score"] for row in rows}


def movers(bridge: TransformerBridge, prompts: list[Prompts], batch_size: int = 4) -> RunningMean:
    source = LiveSource(bridge, needs(bridge.cfg))
    return mover_scores(bridge, source, prompts, batch_size)


def repeated(n: int, length: int) -> torch.Tensor:
    random = np.random.default_rng(3)
    once = np.stack([random.permutation(26)[:length] + 4 for _ in range(n)])
    return torch.from_numpy(np.concatenate([once, once], axis=1))


def test_patterns_made_for_a_role_score_1_for_it_and_0_for_the_others() -> None:
    length, size = 5, 10
    patterns = torch.zeros(1, 1, 3, size, size)
    for query in range(size):
        again = query >= length
        for head, key in enumerate((query - 1, query - length, query - length + 1)):
            patterns[0, 0, head, query, key if head == 0 or again else 0] = 1.0
    patterns[0, 0, 0, 0] = torch.eye(size)[0]
    found = repeat_attention(patterns)[:, 0, :, 0]
    assert torch.equal(found.diagonal(), torch.ones(3))
    assert found[1:, 0].max() == 0 and found[1, 2] == found[2, 1] == 0


@CONFIGS
def test_scores_on_repeats_are_those_of_transformer_lens(
    boot: Boot, config: PretrainedConfig
) -> None:
    """Its scores share the attention of all queries; ours are means over the role's queries."""
    bridge, tokens = boot(random_model(config)), repeated(4, 6)
    found = repeat_scores(bridge, [tokens], 3)
    heads = (bridge.cfg.n_layers, bridge.cfg.n_heads)
    found_mean = found.mean.reshape(3, *heads)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens)
    detectors = (
        (get_previous_token_head_detection_pattern, 12 / 11),
        (get_duplicate_token_head_detection_pattern, 2),
        (get_induction_head_detection_pattern, 2),
    )
    for role, (wanted, queries) in enumerate(detectors):
        for layer, head in np.ndindex(heads):
            each = [
                compute_head_attention_similarity_score(
                    cache["pattern", layer][row, head],
                    wanted(tokens[row : row + 1]),
                    exclude_bos=False,
                    exclude_current_token=False,
                    error_measure="mul",
                )
                for row in range(4)
            ]
            expected = queries * np.mean(each)
            assert found_mean[role, layer, head].item() == pytest.approx(expected, abs=1e-6)
    assert found_mean.std(dim=(1, 2)).min() > 1e-3


def test_heads_made_by_hand_hold_their_roles(boot: Boot) -> None:
    """The first word has no word before it: its attention on itself costs the second head half."""
    bridge = boot(induction_model())
    tokens = repeated_words(bridge.tokenizer, 12, 4, 16, np.random.default_rng(0))
    found = repeat_scores(bridge, tokens, 5).mean.reshape(3, 2)
    assert {row.shape[1] for row in tokens} == {6, 8}
    lost = np.mean([0.5 / 3, 0.5 / 4])
    assert found[0, 0] == pytest.approx(1, abs=0.01)
    assert found[2, 1] == pytest.approx(1 - lost, abs=0.01)
    assert found[1, 1] == pytest.approx(lost, abs=0.01)
    assert found[1:, 0].max() < 0.01 and found[0, 1] < 0.2


def induction_prompts() -> Prompts:
    """`a b answer c d b`: what followed `b` comes next."""
    rows = torch.tensor([[2, 3, 4, 5, 6, 3], [9, 8, 7, 6, 5, 8], [20, 11, 12, 13, 14, 11]])
    return Prompts(
        rows=np.arange(3),
        tokens=rows,
        answer=rows[:, 2],
        foils=rows[:, 3:5],
        corrupted={},
        positions={"end": torch.full((3,), 5)},
    )


@pytest.mark.parametrize(("sign", "role"), [(1.0, "name_mover"), (-1.0, "negative_mover")])
def test_a_head_that_copies_what_it_attends_to_is_a_mover_and_its_opposite_a_negative_one(
    boot: Boot, sign: float, role: str
) -> None:
    table = roles_of(boot(induction_model(sign)), [induction_prompts()], length=4)
    others = {"name_mover", "negative_mover"} - {role}
    assert scores(table, role)[1, 0] == pytest.approx(1, abs=0.01)
    assert scores(table, others.pop())[1, 0] == 0
    held = {(row["role"], row["layer"]) for row in table.to_pylist() if row["holds"]}
    assert held == {("previous_token", 0), ("induction", 1), (role, 1)}


@CONFIGS
def test_mover_scores_are_the_copied_attention_reckoned_head_by_head(
    boot: Boot, config: PretrainedConfig
) -> None:
    bridge, prompts = boot(random_model(config)), mentioning_prompts(9, 8)
    found = movers(bridge, [prompts]).mean.reshape(2, bridge.cfg.n_layers, -1)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(prompts.tokens)
        shared = bridge.cfg.n_heads // cache["v", 0].shape[2]
        for layer, head in np.ndindex(bridge.cfg.n_layers, bridge.cfg.n_heads):
            expected = np.zeros(2)
            for row in range(9):
                (at,) = (prompts.tokens[row] == prompts.answer[row]).nonzero()[0]
                value = cache["v", layer][row, at, head // shared]
                out = value @ bridge.blocks[layer].attn.W_O[head]
                for role, written in enumerate((out, -out)):
                    logits = bridge.unembed(bridge.ln_final(written[None, None]))[0, 0]
                    attention = cache["pattern", layer][row, head, -1, at]
                    if attention >= ATTENDED and prompts.answer[row] in logits.topk(COPIED).indices:
                        expected[role] += attention / 9
            np.testing.assert_allclose(found[:, layer, head], expected, atol=1e-6)
    assert (found > 0).float().mean() > 0.3


def test_prompts_that_do_not_mention_their_answer_count_for_no_mover(
    gpt2: TransformerBridge,
) -> None:
    mentioned, silent = mentioning_prompts(4, 8), mentioning_prompts(3, 8, seed=1)
    silent.answer[:] = 1
    together = movers(gpt2, [mentioned, silent])
    assert together.count == 4
    assert torch.equal(together.mean, movers(gpt2, [mentioned]).mean)
    table = roles_of(gpt2, [silent])
    for role in ("name_mover", "negative_mover", "s_inhibition"):
        rows = [row for row in table.to_pylist() if row["role"] == role]
        assert all(row["score"] is None and row["std_error"] is None for row in rows)
        assert not any(row["holds"] for row in rows)


@CONFIGS
def test_inhibition_is_what_taking_the_head_out_of_the_query_does(
    boot: Boot, config: PretrainedConfig
) -> None:
    """Independent of gradients: the mover's query is computed again without the head's output."""
    bridge, prompts = boot(random_model(config)), mentioning_prompts(6, 8)
    answer = prompts.tokens == prompts.answer[:, None]
    foils = (prompts.tokens[..., None] == prompts.foils[:, None]).any(-1)
    assert (foils.sum(1) == 3).all()

    def difference(head: int) -> torch.Tensor:
        scores = recorded["scores"][:, head, -1]
        return (scores * answer).sum(1) - (scores * foils).sum(1) / 3

    recorded = {}

    def keep(scores: torch.Tensor, hook: object) -> None:
        recorded["scores"] = scores

    observe = ("blocks.1.attn.hook_attn_scores", keep)
    heads = (0, bridge.cfg.n_heads - 1)
    found = inhibition_scores(bridge, [prompts], [(1, head) for head in heads], 4)
    block, expected = bridge.blocks[1], torch.zeros(bridge.cfg.n_heads)
    with torch.no_grad():
        _, cache = bridge.run_with_cache(prompts.tokens)
        scale = cache["blocks.1.ln1.hook_scale"][:, -1]
        for source in range(bridge.cfg.n_heads):
            out = cache["z", 0][:, -1, source] @ bridge.blocks[0].attn.W_O[source]
            if not block.ln1.uses_rms_norm:
                out = out - out.mean(-1, keepdim=True)
            read = out / scale * block.ln1.weight
            for mover in heads:
                subtracted = torch.zeros_like(cache["q", 1])
                subtracted[:, -1, mover] = read @ block.attn.W_Q[mover]
                hook = ("blocks.1.attn.hook_q", partial(taken_out, subtracted))
                bridge.run_with_hooks(prompts.tokens, fwd_hooks=[observe])
                whole = difference(mover)
                bridge.run_with_hooks(prompts.tokens, fwd_hooks=[hook, observe])
                expected[source] += (whole - difference(mover)).mean() / len(heads)
    by_layer = found.mean.reshape(2, -1)
    np.testing.assert_allclose(by_layer[0], expected, atol=1e-4)
    assert expected.abs().min() > 1e-3
    assert by_layer[1].isnan().all()


def taken_out(subtracted: torch.Tensor, query: torch.Tensor, hook: object) -> torch.Tensor:
    return query - subtracted


def test_without_a_name_mover_inhibition_is_not_defined(gpt2: TransformerBridge) -> None:
    found = inhibition_scores(gpt2, [mentioning_prompts(4, 8)], [], 4)
    assert found.count == 0 and found.mean.isnan().all()


def test_a_prompt_needs_its_answer_and_a_foil_for_inhibition(gpt2: TransformerBridge) -> None:
    prompts, silent = mentioning_prompts(4, 8), mentioning_prompts(3, 8, seed=1)
    silent.foils[:] = 1
    together = inhibition_scores(gpt2, [prompts, silent], [(1, 0)], 4)
    assert together.count == 4
    assert torch.equal(together.mean[:2], inhibition_scores(gpt2, [prompts], [(1, 0)], 4).mean[:2])


def test_scores_do_not_depend_on_the_batch_size(gpt2: TransformerBridge) -> None:
    prompts = [mentioning_prompts(7, 8), mentioning_prompts(3, 6)]
    for measure in (
        lambda size: movers(gpt2, prompts, size),
        lambda size: inhibition_scores(gpt2, prompts, [(1, 0), (1, 1)], size),
        lambda size: repeat_scores(gpt2, [repeated(5, 6), repeated(3, 4)], size),
    ):
        whole, parts = measure(10), measure(2)
        assert whole.mean.nan_to_num().abs().max() > 1e-2
        np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-6)
        np.testing.assert_allclose(parts.std_error, whole.std_error, atol=1e-6)


def test_the_table_has_every_head_in_every_role_and_says_which_hold(
    gpt2: TransformerBridge,
) -> None:
    table = roles_of(gpt2, [mentioning_prompts(6, 8)])
    assert table.schema == HEAD_ROLES.remove(0)
    assert len(table) == len(ROLES) * 4
    threshold = {role.name: role.threshold for role in ROLES}
    for row in table.to_pylist():
        known = row["score"] is not None
        assert row["holds"] == (known and row["score"] >= threshold[row["role"]])
    assert roles_of(gpt2, [mentioning_prompts(6, 8)]).equals(table)
    other = roles_of(gpt2, [mentioning_prompts(6, 8)], seed=1)
    assert scores(other, "induction") != scores(table, "induction")
    assert scores(other, "name_mover") == scores(table, "name_mover")


def test_repeated_words_differ_within_a_run_and_come_again() -> None:
    tokenizer = word_tokenizer([*WORDS[:3], *"abcdefghijklmnop"])
    words = set(ordinary_words(tokenizer))
    found = repeated_words(tokenizer, 10, 8, 64, np.random.default_rng(0))
    assert [tokens.shape for tokens in found] == [(3, 16), (3, 14), (2, 10), (2, 8)]
    for tokens in found:
        half = tokens.shape[1] // 2
        assert torch.equal(tokens[:, :half], tokens[:, half:])
        for row in tokens[:, :half].tolist():
            assert len(set(row)) == half and set(row) <= words


def test_runs_take_a_quarter_of_a_small_context_and_no_more_words_than_there_are() -> None:
    tokenizer = word_tokenizer("abcde")
    for context, longest in ((12, 3), (1000, 5)):
        found = repeated_words(tokenizer, 8, 50, context, np.random.default_rng(0))
        assert found[0].shape[1] == 2 * longest
    with pytest.raises(UserError, match="no random words to repeat"):
        repeated_words(tokenizer, 8, 50, 7, np.random.default_rng(0))


def test_ordinary_words_are_letters_that_one_token_spells_after_a_space() -> None:
    pieces = ["<end>", ".", "Ġ", "c", "a", "t", "5", "ca", "cat", "Ġcat", "Ġ5"]
    merges = [("c", "a"), ("ca", "t"), ("Ġ", "cat"), ("Ġ", "5")]
    backend = Tokenizer(BPE({piece: number for number, piece in enumerate(pieces)}, merges))
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False)
    backend.decoder = ByteLevelDecoder()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    assert ordinary_words(tokenizer) == [pieces.index("Ġcat")]
    words = word_tokenizer(["cat", "word5"])
    assert [words.decode([token]) for token in ordinary_words(words)] == ["cat"]
