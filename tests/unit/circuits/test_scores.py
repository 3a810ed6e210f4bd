"""From scores of prompts to tables: means, samples and splits by position."""

import numpy as np
import pytest
import torch

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.scores import OTHER, MeanScores, PromptScores, ScoresByPrompt
from timelapse.tables import EDGE_SAMPLES, EDGES, EDGES_BY_POSITION

SHAPE = GraphShape(n_layers=1, n_heads=1, n_kv_heads=1)
N_EDGES = len(SHAPE.edges)


def some_scores(rows: list[int], seed: int = 0, n_scores: int = N_EDGES) -> PromptScores:
    generator = torch.Generator().manual_seed(seed)
    return PromptScores(np.array(rows), torch.randn(n_scores, len(rows), generator=generator))


def means_of(batches: list[PromptScores]) -> MeanScores:
    means = MeanScores()
    for batch in batches:
        means.add(batch)
    return means


def test_the_table_has_a_row_for_every_edge_in_the_order_of_the_graph() -> None:
    batches = [some_scores([0, 1], 0), some_scores([2, 3, 4], 1)]
    table = means_of(batches).edges(SHAPE, "swap", "EAP")
    every = torch.cat([batch.scores for batch in batches], 1)
    assert table.schema == EDGES.remove(0)
    ends = list(zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True))
    assert ends == [(source.name, target.name) for source, target in SHAPE.edges]
    np.testing.assert_allclose(table["score"], every.mean(1), rtol=1e-6)
    np.testing.assert_allclose(table["std_error"], every.std(1) / 5**0.5, rtol=1e-6)
    assert set(table["corruption"].to_pylist()) == {"swap"}
    assert set(table["method"].to_pylist()) == {"EAP"}


def test_scores_of_nodes_have_no_target() -> None:
    table = means_of([some_scores([0], n_scores=3)]).edges(SHAPE, "swap", "node")
    assert table["source"].to_pylist() == ["input", "a0.h0", "m0"]
    assert table["target"].to_pylist() == [None] * 3


@pytest.mark.parametrize("batches", [[], [some_scores([0], n_scores=4)]], ids=["none", "other"])
def test_scores_of_nothing_or_of_another_graph_make_no_table(batches: list[PromptScores]) -> None:
    with pytest.raises(ValueError, match=r"no prompts|4 scores"):
        means_of(batches).edges(SHAPE, "swap", "EAP")


def test_samples_are_the_scores_of_each_prompt_in_the_order_of_the_dataset() -> None:
    samples = ScoresByPrompt()
    late, early = some_scores([5, 7], 0), some_scores([2, 6], 1)
    samples.add(late)
    samples.add(early)
    table = samples.edge_samples("swap", "EAP")
    assert table.schema == EDGE_SAMPLES.remove(0)
    assert table["example"].to_pylist() == [2, 5, 6, 7]
    expected = np.stack([early.scores[:, 0], late.scores[:, 0], early.scores[:, 1]])
    np.testing.assert_array_equal(np.stack(table["scores"].to_numpy())[:3], expected)


def test_means_by_position_sum_to_the_mean_though_some_prompts_lack_a_label() -> None:
    with_both, with_one = some_scores([0, 1], 0), some_scores([2, 3, 4], 1)
    by_position = [
        {"end": with_both.scores * 0.25, "name": with_both.scores * 0.5},
        {"verb": with_one.scores * 0.75},
    ]
    means = MeanScores()
    for found, parts in zip((with_both, with_one), by_position, strict=True):
        left = found.scores - sum(parts.values())
        means.add(PromptScores(found.rows, found.scores, {**parts, OTHER: left}))
    table = means.edges_by_position(SHAPE, "swap", "EAP")
    assert table.schema == EDGES_BY_POSITION.remove(0)
    assert list(dict.fromkeys(table["position"].to_pylist())) == ["end", "name", "verb", OTHER]
    parts = table["score"].to_numpy().reshape(4, N_EDGES)
    assert np.abs(parts).max(1).min() > 0.1
    np.testing.assert_allclose(parts[2], 0.75 * with_one.scores.sum(1) / 5, rtol=1e-5)
    whole = means.edges(SHAPE, "swap", "EAP")["score"].to_numpy()
    np.testing.assert_allclose(parts.sum(0), whole, rtol=1e-4, atol=1e-6)


def test_a_method_that_splits_nothing_has_no_rows_by_position() -> None:
    means = MeanScores()
    means.add(some_scores([0]))
    table = means.edges_by_position(SHAPE, "swap", "EAP")
    assert table.schema == EDGES_BY_POSITION.remove(0)
    assert len(table) == 0
