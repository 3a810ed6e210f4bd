"""Circuits run where they were not found: shares, labels, intervals and null values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from circuits.ablation_oracles import ablated_run, written_when_corrupted
from tiny_models import Boot, gpt2_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.cross_checkpoint import Guest, Place, guests, halved, transfer, visiting
from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.model_check import graph_shape
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.circuits.settings import Settings
from timelapse.errors import UserError
from timelapse.models.metric_values import last_logits, logit_difference
from timelapse.tables import COMPARISON, EDGE_SAMPLES

SHAPE = GraphShape(n_layers=2, n_heads=2, n_kv_heads=2)
N_EDGES = len(SHAPE.edges)
BOTH = ("swap", "other")


def place(step: int = 8, task: str = "hard", corruptions: tuple[str, ...] = BOTH) -> Place:
    prompts = random_prompts(5, length=7)
    other = prompts.tokens.clone()
    other[:, 3] = (other[:, 3] - 2 + 11) % 28 + 2
    prompts.corrupted["other"] = other
    return Place(step, task, [prompts[:3], prompts[3:]], corruptions, resamples=200, seed=0)


def circuit(n: int, seed: int) -> np.ndarray:
    return choose(np.random.default_rng(seed).normal(size=N_EDGES), SHAPE, n)


def scored(steps: list[int], corruptions: tuple[str, ...], seed: int) -> ScoredEdges:
    random = np.random.default_rng(seed)
    keys = [(step, corruption, "EAP") for step in steps for corruption in corruptions]
    scores = {key: random.normal(size=N_EDGES) for key in keys}
    files = {step: Path(f"step-{step:06d}.parquet") for step in steps}
    return ScoredEdges(SHAPE, files, scores, scores)


@pytest.fixture
def model(boot: Boot) -> TransformerBridge:
    bridge = boot(random_model(gpt2_config(), dtype=torch.float64))
    assert graph_shape(bridge) == SHAPE
    return bridge


def test_a_guest_recovers_what_real_interventions_pooled_over_corruptions_do(
    model: TransformerBridge,
) -> None:
    here = place()
    visitors = [Guest(0, "hard", circuit(30, 0)), Guest(8, "easy", circuit(25, 1))]
    table = transfer(model, SHAPE, here, visitors, np.zeros((0, N_EDGES), bool), Settings(batch=2))
    gained, total = np.zeros(2), 0.0
    for prompts in here.prompts:
        clean = logit_difference(last_logits(model, prompts.tokens), prompts.answer, prompts.foils)
        for corruption in BOTH:
            written = written_when_corrupted(model, SHAPE, prompts, corruption)
            nothing = ablated_run(model, SHAPE, prompts, written, [False] * N_EDGES)
            total += float((clean - nothing).sum())
            for number, guest in enumerate(visitors):
                run = ablated_run(model, SHAPE, prompts, written, guest.circuit.tolist())
                gained[number] += float((run - nothing).sum())
    assert np.abs([*gained, gained[0] - gained[1]]).min() > 0.1 * abs(total)
    np.testing.assert_allclose(table["value"], gained / total, rtol=1e-4)
    assert table["null_mean"].null_count == 2


def test_rows_tell_where_a_circuit_is_from_and_where_it_is_run(model: TransformerBridge) -> None:
    visitors = [Guest(0, "hard", circuit(30, 0)), Guest(8, "easy", circuit(25, 1))]
    halves = np.stack([circuit(30, 2), circuit(30, 3)])
    table = transfer(model, SHAPE, place(), visitors, halves, Settings())
    assert table.schema == COMPARISON
    own, other = table.to_pylist()
    assert (own["step_a"], own["task_a"], own["measure"]) == (0, "hard", "cross_faithfulness")
    assert (other["step_a"], other["task_a"]) == (8, "easy")
    assert other["measure"] == "cross_task_faithfulness"
    for row in (own, other):
        assert (row["step_b"], row["task_b"]) == (8, "hard")
        assert row["ci_low"] < row["value"] < row["ci_high"]
    alone = transfer(
        model, SHAPE, place(), [Guest(8, "hard", half) for half in halves], halves, Settings()
    )
    assert own["null_mean"] == pytest.approx(np.mean(alone["value"].to_numpy()), abs=1e-5)
    assert own["null_mean"] == other["null_mean"]


def test_all_circuits_share_a_clean_pass_and_an_ablated_pass_for_each_corruption(
    gpt2: TransformerBridge,
) -> None:
    here, rows = place(), []
    here = replace(here, prompts=here.prompts[:1])
    visitors = [Guest(step, "hard", circuit(30, step)) for step in range(4)]

    def count(tokens: torch.Tensor, hook: object) -> None:
        if tokens.shape[1] > 3:  # else it is the prefix, before the first corrupted word
            rows.append(len(tokens))

    gpt2.add_hook("embed.hook_in", count)
    transfer(gpt2, SHAPE, here, visitors, np.zeros((0, N_EDGES), bool), Settings(batch=100))
    gpt2.reset_hooks()
    clean, ablated, circuits = 3, 3, 4 * 3
    assert rows == 2 * [ablated, circuits, clean]


def test_circuits_are_chosen_from_scores_pooled_over_the_corruptions() -> None:
    edges = {
        "easy": scored([0, 8], ("flip", "abc"), 0),
        "hard": scored([0, 8], ("first", "second", "abc"), 1),
    }
    found = guests(edges, [0, 8], "hard", "EAP", 12)
    assert [(guest.task, guest.step) for guest in found] == [
        ("hard", 0),
        ("hard", 8),
        ("easy", 0),
        ("easy", 8),
    ]
    means = np.mean([edges["easy"].means[8, name, "EAP"] for name in ("flip", "abc")], axis=0)
    np.testing.assert_array_equal(found[-1].circuit, choose(means, SHAPE, 12))
    assert found[-1].circuit.any()
    with pytest.raises(UserError, match="no edges of method exact"):
        guests(edges, [0], "hard", "exact", 12)
    n_edges = len(SHAPE.edges)
    assert len(guests(edges, [0], "hard", "EAP", n_edges - 1)) == 2
    with pytest.raises(UserError, match=f"comparison.edges: circuits of {n_edges} edges"):
        guests(edges, [0], "hard", "EAP", n_edges)


def test_own_circuits_of_all_steps_and_others_of_this_and_the_first_are_run() -> None:
    everyone = [
        Guest(step, task, circuit(12, 0)) for task in ("hard", "easy") for step in (0, 4, 8)
    ]
    met = [(guest.task, guest.step) for guest in visiting(everyone, place(step=4), first=0)]
    assert met == [("hard", 0), ("hard", 4), ("hard", 8), ("easy", 0), ("easy", 4)]
    met = [(guest.task, guest.step) for guest in visiting(everyone, place(step=0), first=0)]
    assert met == [("hard", 0), ("hard", 4), ("hard", 8), ("easy", 0)]


def test_halves_are_disjoint_random_halves_of_the_prompts_scores(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(6, N_EDGES)).astype(np.float32)
    columns = {
        "step": np.full(6, 8, np.int32),
        "corruption": ["swap"] * 6,
        "method": ["EAP"] * 6,
        "example": np.arange(6, dtype=np.int32),
        "scores": list(scores),
    }
    path = tmp_path / "step-000008.parquet"
    pq.write_table(pa.table(columns, schema=EDGE_SAMPLES), path)
    samples = EdgeSamples.open([path], "EAP", N_EDGES)
    found = halved(samples, place(), SHAPE, 12, n_splits=3)
    assert found.shape == (6, N_EDGES)
    possible = {
        frozenset(half): choose(scores[list(half)].mean(0), SHAPE, 12).tobytes()
        for half in ((a, b, c) for a in range(6) for b in range(a) for c in range(b))
    }
    for one, two in found.reshape(3, 2, N_EDGES):
        which = [half for half, made in possible.items() if made == one.tobytes()]
        assert any(possible[frozenset(range(6)) - half] == two.tobytes() for half in which)
    assert len({half.tobytes() for half in found}) > 2
    np.testing.assert_array_equal(found, halved(samples, place(), SHAPE, 12, n_splits=3))
    assert len(halved(samples, place(), SHAPE, 12, n_splits=1000)) == 20
