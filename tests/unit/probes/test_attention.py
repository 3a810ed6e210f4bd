"""Attention: means by hand, patterns as TransformerLens has them, changes and their intervals."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from mentions import mentioning_prompts
from tiny_models import Boot, gpt2_config, llama_config, neox_config, random_model
from transformer_lens.model_bridge import TransformerBridge
from transformers import PretrainedConfig

from timelapse.activations.source import LiveSource
from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.prompts import Prompts
from timelapse.probes.attention import (
    LabelledAttention,
    LastAttention,
    attention,
    attention_change,
    first_attention,
    from_last,
    moved,
)
from timelapse.probes.attention_patterns import WholePatterns, each_pattern, example_ids, needs
from timelapse.probes.probe_settings import AttentionSettings
from timelapse.seeds import generator
from timelapse.tables import ATTENTION, ATTENTION_CHANGE, ATTENTION_PATTERN
from timelapse.tasks.spec import dataset_schema

CONFIGS = pytest.mark.parametrize(
    "config", [gpt2_config(), llama_config(), neox_config()], ids=["gpt2", "llama", "neox"]
)


def write_ids(path: Path, ids: Iterable[int]) -> Path:
    """Write a dataset of which only the ids matter."""
    schema = dataset_schema(["swap"])
    row = dict.fromkeys(schema.names, "word") | {"foils": [], "positions": []}
    rows = [row | {"example_id": number} for number in ids]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_ids(tmp_path / "test.parquet", range(100, 112))


def measured(
    bridge: TransformerBridge,
    prompts: list[Prompts],
    dataset: Path,
    heads: tuple[str, ...] = (),
    batch_size: int = 4,
    before: list[LastAttention] | None = None,
) -> dict[str, pa.Table]:
    """The tables of a checkpoint; it is the run's first one if no other is given as `before`."""
    source = LiveSource(bridge, needs(bridge.cfg))
    settings = AttentionSettings(heads=heads, examples=(0, 2), resamples=200)
    first = before or first_attention(bridge, source, prompts, batch_size)
    return attention(bridge, source, prompts, batch_size, settings, 0, dataset, first)


def cached(bridge: TransformerBridge, prompts: Prompts) -> torch.Tensor:
    """The patterns that TransformerLens gives: [layer, head, batch, query, key]."""
    with torch.no_grad():
        _, cache = bridge.run_with_cache(prompts.tokens)
    patterns = [cache["pattern", layer] for layer in range(bridge.cfg.n_layers)]
    return torch.stack(patterns).transpose(1, 2)


def bucket(length: int, **positions: list[int]) -> Prompts:
    n = len(positions["end"])
    nothing = torch.zeros(n, 1, dtype=torch.long)
    return Prompts(
        rows=np.arange(n),
        tokens=nothing.expand(n, length),
        answer=nothing[:, 0],
        foils=nothing,
        corrupted={},
        positions={label: torch.tensor(at) for label, at in positions.items()},
    )


def test_attention_between_labels_is_the_mean_counted_by_hand() -> None:
    """Prompts of two lengths, the second without the label `b`."""
    labelled = LabelledAttention(1, 1)
    patterns = torch.zeros(1, 1, 2, 3, 3)
    patterns[0, 0, 0, 2] = torch.tensor([0.2, 0.3, 0.5])
    patterns[0, 0, 1, 2] = torch.tensor([0.1, 0.7, 0.2])
    patterns[0, 0, :, 1, :2] = torch.tensor([[0.4, 0.6], [0.9, 0.1]])
    labelled.add(bucket(3, a=[0, 1], b=[1, 0], end=[2, 2]), patterns)
    longer = torch.zeros(1, 1, 1, 4, 4)
    longer[0, 0, 0, 3] = torch.tensor([0.25, 0.0, 0.6, 0.15])
    labelled.add(bucket(4, a=[2], end=[3]), longer)
    rows = {(row["query"], row["key"]): row for row in labelled.table().to_pylist()}
    to_a = [0.2, 0.7, 0.6]
    assert rows["end", "a"]["value"] == pytest.approx(np.mean(to_a))
    assert rows["end", "a"]["std_error"] == pytest.approx(np.std(to_a, ddof=1) / 3**0.5)
    assert rows["end", "b"]["value"] == pytest.approx((0.3 + 0.1) / 2)
    assert rows["b", "a"]["value"] == pytest.approx((0.4 + 0.0) / 2)
    assert rows["a", "b"]["value"] == pytest.approx((0.0 + 0.9) / 2)
    assert ("a", "end") not in rows and ("b", "end") not in rows


def test_labels_come_in_the_order_of_their_mean_position(
    gpt2: TransformerBridge, dataset: Path
) -> None:
    table = measured(gpt2, [mentioning_prompts(5, 8)], dataset)["attention"]
    assert table.schema == ATTENTION.remove(0)
    first = [row for row in table.to_pylist() if (row["layer"], row["head"]) == (0, 0)]
    assert [row["key"] for row in first if row["query"] == "end"] == [
        *("io", "first", "second", "first.2", "end")
    ]
    assert len(table) == 4 * len(first)


@CONFIGS
def test_attention_is_that_of_transformer_lens(
    boot: Boot, config: PretrainedConfig, dataset: Path
) -> None:
    bridge, prompts = boot(random_model(config)), mentioning_prompts(6, 8)
    patterns = cached(bridge, prompts)
    each = torch.arange(6)
    apart = [
        row["value"]
        - patterns[
            row["layer"],
            row["head"],
            each,
            prompts.positions[row["query"]],
            prompts.positions[row["key"]],
        ].mean()
        for row in measured(bridge, [prompts], dataset)["attention"].to_pylist()
    ]
    assert len(apart) > 30
    assert np.abs(apart).max() < 1e-6


def test_values_do_not_depend_on_the_batch_size(gpt2: TransformerBridge, dataset: Path) -> None:
    prompts = [mentioning_prompts(7, 8), mentioning_prompts(3, 6)]
    whole, parts = (
        measured(gpt2, prompts, dataset, ("a1.h0",), size)["attention"] for size in (7, 2)
    )
    for column in ("value", "std_error"):
        np.testing.assert_allclose(parts[column], whole[column], atol=1e-6)


def test_a_whole_pattern_is_that_of_the_prompt(gpt2: TransformerBridge, dataset: Path) -> None:
    prompts = mentioning_prompts(4, 6)
    table = measured(gpt2, [prompts], dataset, ("a1.h0", "a0.h1"), 3)["attention_pattern"]
    assert table.schema == ATTENTION_PATTERN.remove(0)
    assert len(table) == 2 * 2 * 21
    patterns = cached(gpt2, prompts)
    for row in table.to_pylist():
        number = row["example_id"] - 100
        layer, head = int(row["head"][1]), int(row["head"][4])
        query, key = row["query_position"], row["key_position"]
        expected = patterns[layer, head, number, query, key].item()
        assert row["value"] == pytest.approx(expected, abs=1e-6)
        named = (int(prompts.tokens[number, at]) for at in (query, key))
        assert (row["query_token"], row["key_token"]) == tuple(
            gpt2.tokenizer.decode([token]) for token in named
        )


@pytest.mark.parametrize("name", ["a2.h0", "a0.h2", "m1", "a1.h0<q>"])
def test_a_head_that_the_model_lacks_is_refused(gpt2: TransformerBridge, name: str) -> None:
    with pytest.raises(UserError, match=r"a0\.h0 to a1\.h1") as caught:
        WholePatterns(gpt2, [name], {})
    assert caught.value.key == "probes.attention.heads"


def test_a_prompt_that_is_not_measured_is_refused(tmp_path: Path) -> None:
    path = write_ids(tmp_path / "test.parquet", (7, 9, 4, 5))
    assert example_ids(path, [2, 0], 3) == {2: 4, 0: 7}
    with pytest.raises(UserError, match=r"prompt 3 .* is not measured"):
        example_ids(path, [0, 3], 3)


def test_the_change_is_the_share_of_attention_that_has_moved() -> None:
    before = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    after = torch.tensor([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]])
    last = [part[None, None] for part in (before, after)]
    assert moved(last[:1], last[1:])[0, 0].tolist() == [0.25, 1.0]


def test_only_attention_from_the_last_position_counts() -> None:
    patterns = torch.rand(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_last(patterns), patterns[:, :, :, 4, :])


def test_at_the_first_step_nothing_has_moved_and_later_the_heads_that_changed_have(
    boot: Boot, dataset: Path
) -> None:
    bridge, prompts = boot(random_model(gpt2_config())), mentioning_prompts(6, 8)
    kept = first_attention(bridge, LiveSource(bridge, needs(bridge.cfg)), [prompts], 4)
    first = measured(bridge, [prompts], dataset, before=kept)["attention_change"]
    assert not np.any(first["value"]) and not np.any(first["ci_high"])
    before = cached(bridge, prompts)[..., -1, :]
    bridge.blocks[1].attn.q.original_component.weight[:, :8] += 1.0
    table = measured(bridge, [prompts], dataset, before=kept)["attention_change"]
    assert table.schema == ATTENTION_CHANGE.remove(0)
    expected = (cached(bridge, prompts)[..., -1, :] - before).abs().sum(-1).mean(-1) / 2
    np.testing.assert_allclose(table["value"], expected.flatten(), atol=1e-6)
    assert expected.max() > 0.05
    by_rank = table.sort_by("rank")
    assert by_rank["rank"].to_pylist() == [1, 2, 3, 4]
    assert (np.diff(by_rank["value"]) <= 0).all()
    assert (by_rank["layer"][0].as_py(), expected[0].max()) == (1, 0)


def changes(n: int) -> torch.Tensor:
    random = np.random.default_rng(5)
    return torch.from_numpy(random.beta([[2.0], [5.0]], 4.0, (2, n)))[None]


def test_the_same_seed_gives_the_same_intervals() -> None:
    def interval(seed: int) -> tuple[list[float], list[float]]:
        table = attention_change(changes(40), 300, generator(seed, "attention_change"))
        return table["ci_low"].to_pylist(), table["ci_high"].to_pylist()

    assert interval(0) == interval(0) != interval(1)


def test_intervals_hold_the_mean_and_are_as_wide_as_its_error_says() -> None:
    each = changes(400)
    table = attention_change(each, 2000, np.random.default_rng(0))
    low, value, high = (table[name].to_numpy() for name in ("ci_low", "value", "ci_high"))
    assert (low < value).all() and (value < high).all()
    error = each[0].std(1).numpy() / 400**0.5
    np.testing.assert_allclose((high - low) / (2 * 1.96 * error), 1, atol=0.1)


def test_a_change_that_all_prompts_share_has_no_spread() -> None:
    (row,) = attention_change(torch.full((1, 1, 9), 0.25), 50, np.random.default_rng(0)).to_pylist()
    assert (row["value"], row["ci_low"], row["ci_high"], row["rank"]) == (0.25, 0.25, 0.25, 1)


class ConstantPatterns:
    """A source whose patterns have their layer's number everywhere."""

    dtype = torch.float32

    def __init__(self) -> None:
        self.rows: list[list[int]] = []

    def __call__(self, prompts: Prompts) -> dict[str, torch.Tensor]:
        self.rows.append(prompts.rows.tolist())
        n, length = prompts.tokens.shape
        return {hooks.pattern(at): torch.full((n, 2, length, length), float(at)) for at in (0, 1)}


def test_patterns_come_batch_by_batch_from_the_source(gpt2: TransformerBridge) -> None:
    source = ConstantPatterns()
    batches = list(each_pattern(gpt2, source, [mentioning_prompts(3, 6)], 2))
    assert source.rows == [[0, 1], [2]]
    assert [patterns.shape for _, patterns in batches] == [(2, 2, 2, 6, 6), (2, 2, 1, 6, 6)]
    assert batches[0][1][1].eq(1).all()
