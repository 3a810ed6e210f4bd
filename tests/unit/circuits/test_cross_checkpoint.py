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

from timelapse.circuits.cross_checkpoint import (
    EvaluationSite,
    SourceCircuit,
    circuits_for,
    cross_faithfulness,
    source_circuits,
    split_half_circuits,
)
from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.circuits.graph import GraphShape
from timelapse.circuits.model_check import graph_shape
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.circuits.selection import choose
from timelapse.errors import UserError
from timelapse.models.hooks import last_logits
from timelapse.models.metric import LOGIT_DIFF, logit_difference
from timelapse.tables import COMPARISON, EDGE_SAMPLES

SHAPE = GraphShape(n_layers=2, n_heads=2, n_kv_heads=2)
N_EDGES = len(SHAPE.edges)
BOTH = ("swap", "other")


def site(step: int = 8, task: str = "hard", corruptions: tuple[str, ...] = BOTH) -> EvaluationSite:
    prompts = random_prompts(5, length=7)
    other = prompts.tokens.clone()
    other[:, 3] = (other[:, 3] - 2 + 11) % 28 + 2
    prompts.corrupted["other"] = other
    return EvaluationSite(
        step, task, [prompts[:3], prompts[3:]], corruptions, LOGIT_DIFF, resamples=200, seed=0
    )


def kept(n: int, seed: int) -> np.ndarray:
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


def test_a_circuit_recovers_what_real_interventions_pooled_over_corruptions_do(
    model: TransformerBridge,
) -> None:
    here = site()
    circuits = [SourceCircuit(0, "hard", kept(30, 0)), SourceCircuit(8, "easy", kept(25, 1))]
    table = cross_faithfulness(model, SHAPE, here, circuits, np.zeros((0, N_EDGES), bool), 2)
    gained, total = np.zeros(2), 0.0
    for prompts in here.prompts:
        clean = logit_difference(last_logits(model, prompts.tokens), prompts.answer, prompts.foils)
        for corruption in BOTH:
            written = written_when_corrupted(model, SHAPE, prompts, corruption)
            nothing = ablated_run(model, SHAPE, prompts, written, [False] * N_EDGES)
            total += float((clean - nothing).sum())
            for number, circuit in enumerate(circuits):
                run = ablated_run(model, SHAPE, prompts, written, circuit.kept.tolist())
                gained[number] += float((run - nothing).sum())
    assert np.abs([*gained, gained[0] - gained[1]]).min() > 0.1 * abs(total)
    np.testing.assert_allclose(table["value"], gained / total, rtol=1e-4)
    assert table["null_mean"].null_count == 2


def test_rows_tell_where_a_circuit_is_from_and_where_it_is_run(model: TransformerBridge) -> None:
    circuits = [SourceCircuit(0, "hard", kept(30, 0)), SourceCircuit(8, "easy", kept(25, 1))]
    halves = np.stack([kept(30, 2), kept(30, 3)])
    table = cross_faithfulness(model, SHAPE, site(), circuits, halves, 100)
    assert table.schema == COMPARISON
    own, other = table.to_pylist()
    assert (own["step_a"], own["task_a"], own["measure"]) == (0, "hard", "cross_faithfulness")
    assert (other["step_a"], other["task_a"]) == (8, "easy")
    assert other["measure"] == "cross_task_faithfulness"
    for row in (own, other):
        assert (row["step_b"], row["task_b"]) == (8, "hard")
        assert row["ci_low"] < row["value"] < row["ci_high"]
    alone = cross_faithfulness(
        model, SHAPE, site(), [SourceCircuit(8, "hard", half) for half in halves], halves, 100
    )
    assert own["null_mean"] == pytest.approx(np.mean(alone["value"].to_numpy()), abs=1e-5)
    assert own["null_mean"] == other["null_mean"]


def test_all_circuits_share_a_clean_pass_and_a_reference_pass_for_each_corruption(
    gpt2: TransformerBridge,
) -> None:
    """Whole runs of the model: circuits run by blocks, see `test_forward`."""
    here, rows = site(), []
    here = replace(here, prompts=here.prompts[:1])
    circuits = [SourceCircuit(step, "hard", kept(30, step)) for step in range(4)]

    def count(activation: torch.Tensor, hook: object) -> None:
        rows.append(len(activation))

    gpt2.add_hook("unembed.hook_in", count)
    cross_faithfulness(gpt2, SHAPE, here, circuits, np.zeros((0, N_EDGES), bool), 100)
    gpt2.reset_hooks()
    assert rows == [3] + 2 * [3]


def test_circuits_are_chosen_from_scores_pooled_over_the_corruptions() -> None:
    edges = {
        "easy": scored([0, 8], ("flip", "abc"), 0),
        "hard": scored([0, 8], ("first", "second", "abc"), 1),
    }
    found = source_circuits(edges, [0, 8], "hard", "EAP", 12)
    assert [(circuit.task, circuit.step) for circuit in found] == [
        ("hard", 0),
        ("hard", 8),
        ("easy", 0),
        ("easy", 8),
    ]
    means = np.mean([edges["easy"].means[8, name, "EAP"] for name in ("flip", "abc")], axis=0)
    np.testing.assert_array_equal(found[-1].kept, choose(means, SHAPE, 12))
    assert found[-1].kept.any()
    with pytest.raises(UserError, match="no edges of method exact"):
        source_circuits(edges, [0], "hard", "exact", 12)
    n_edges = len(SHAPE.edges)
    assert len(source_circuits(edges, [0], "hard", "EAP", n_edges - 1)) == 2
    with pytest.raises(UserError, match=f"only {n_edges} edges"):
        source_circuits(edges, [0], "hard", "EAP", n_edges)


def test_own_circuits_of_all_steps_and_others_of_this_and_the_first_are_run() -> None:
    everyone = [
        SourceCircuit(step, task, kept(12, 0)) for task in ("hard", "easy") for step in (0, 4, 8)
    ]
    chosen = [
        (circuit.task, circuit.step) for circuit in circuits_for(everyone, site(step=4), first=0)
    ]
    assert chosen == [("hard", 0), ("hard", 4), ("hard", 8), ("easy", 0), ("easy", 4)]
    chosen = [
        (circuit.task, circuit.step) for circuit in circuits_for(everyone, site(step=0), first=0)
    ]
    assert chosen == [("hard", 0), ("hard", 4), ("hard", 8), ("easy", 0)]


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
    found = split_half_circuits(samples, site(), SHAPE, 12, n_splits=3)
    assert found.shape == (6, N_EDGES)
    possible = {
        frozenset(half): choose(scores[list(half)].mean(0), SHAPE, 12).tobytes()
        for half in ((a, b, c) for a in range(6) for b in range(a) for c in range(b))
    }
    for one, two in found.reshape(3, 2, N_EDGES):
        which = [half for half, made in possible.items() if made == one.tobytes()]
        assert any(possible[frozenset(range(6)) - half] == two.tobytes() for half in which)
    assert len({half.tobytes() for half in found}) > 2
    np.testing.assert_array_equal(
        found, split_half_circuits(samples, site(), SHAPE, 12, n_splits=3)
    )
    assert len(split_half_circuits(samples, site(), SHAPE, 12, n_splits=1000)) == 20
