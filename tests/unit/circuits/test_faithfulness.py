"""Faithfulness tables: equal to what real interventions on the chosen edges give."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
import torch
from circuits.ablation_oracles import ablated_run, written_when_corrupted
from circuits.score_batches import score_batches
from handmade_models import induction_model
from tiny_models import Boot, gpt2_config, random_model, random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.faithfulness import faithfulness
from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.methods import MethodSettings
from timelapse.circuits.model_check import check_matches_model, graph_shape
from timelapse.circuits.selection import choose, prune
from timelapse.circuits.size_curve import FRACTIONS, sizes_at
from timelapse.errors import UserError
from timelapse.models.hooks import last_logits
from timelapse.models.metric import LOGIT_DIFF, logit_difference
from timelapse.models.prompts import Prompts
from timelapse.tables import CIRCUIT_QUALITY, FAITHFULNESS

BUCKETS = [random_prompts(3, length=6), random_prompts(2, length=8, seed=1)]


def scores_of(bridge: TransformerBridge, prompts: list[Prompts]) -> np.ndarray:
    found = score_batches("EAP", bridge, graph_shape(bridge), prompts, "swap", MethodSettings())
    return torch.cat([part.scores for part in found], dim=1).mean(1).numpy()


def evaluate(
    bridge: TransformerBridge, prompts: list[Prompts], scores: np.ndarray, **settings: object
) -> dict[str, pa.Table]:
    shape = graph_shape(bridge)
    evaluator = CircuitEvaluator(bridge, shape, prompts, "swap", LOGIT_DIFF, **settings)
    return faithfulness(evaluator, "EAP", scores)


def quality(tables: Mapping[str, pa.Table]) -> dict[str, dict[str, float | None]]:
    return {row["measure"]: row for row in tables["circuit_quality"].to_pylist()}


def recovered(bridge: TransformerBridge, circuit: np.ndarray) -> float:
    """The share that a circuit recovers on `BUCKETS`, by real interventions."""
    shape = graph_shape(bridge)
    gained = total = 0.0
    for prompts in BUCKETS:
        clean, corrupted = (
            logit_difference(last_logits(bridge, tokens), prompts.answer, prompts.foils).sum()
            for tokens in (prompts.tokens, prompts.corrupted["swap"])
        )
        written = written_when_corrupted(bridge, shape, prompts, "swap")
        run = ablated_run(bridge, shape, prompts, written, circuit.tolist())
        gained += float(run.sum() - corrupted)
        total += float(clean - corrupted)
    return gained / total


@pytest.fixture
def model(boot: Boot) -> TransformerBridge:
    return boot(random_model(gpt2_config(), dtype=torch.float64))


def test_the_curve_is_what_real_interventions_on_the_strongest_edges_give(
    model: TransformerBridge,
) -> None:
    shape = graph_shape(model)
    scores = scores_of(model, BUCKETS)
    rows = evaluate(model, BUCKETS, scores, batch=4)["faithfulness"].to_pylist()
    assert [row["fraction"] for row in rows] == pytest.approx(FRACTIONS)
    sizes = sizes_at(FRACTIONS, len(shape.edges))
    shares = []
    for row, size in list(zip(rows, sizes, strict=True))[-4:]:
        circuit = choose(scores, shape, size)
        assert row["n_edges"] == circuit.sum() > 0
        shares.append(recovered(model, circuit))
        assert row["faithfulness"] == pytest.approx(shares[-1], abs=1e-5)
        assert row["completeness"] == pytest.approx(recovered(model, ~circuit), abs=1e-5)
        assert row["ci_low"] <= row["faithfulness"] <= row["ci_high"]
    assert len({round(share, 3) for share in shares}) > 2
    assert rows[-1]["faithfulness"] == rows[-1]["ci_low"] == rows[-1]["ci_high"] == 1
    assert rows[-1]["completeness"] == 0


def test_the_numbers_that_sum_the_curve_up_follow_from_it(model: TransformerBridge) -> None:
    shape, scores = graph_shape(model), scores_of(model, BUCKETS)
    tables = evaluate(model, BUCKETS, scores)
    found, rows = quality(tables), tables["faithfulness"].to_pylist()
    away = [abs(1 - row["faithfulness"]) for row in rows]
    expected = sum(
        (right - left) * (below + above) / 2
        for left, right, below, above in zip(
            FRACTIONS[:-1], FRACTIONS[1:], away[:-1], away[1:], strict=True
        )
    )
    assert found["CMD"]["value"] == pytest.approx(expected, abs=1e-5)
    sizes = sizes_at(FRACTIONS, len(shape.edges))
    helpful = [choose(scores, shape, size, "signed") for size in sizes]
    signed = [recovered(model, circuit) if circuit.any() else 0.0 for circuit in helpful]
    assert np.ptp(signed) > 0.1
    assert found["CPR"]["value"] == pytest.approx(np.trapezoid(signed, FRACTIONS), abs=1e-5)
    enough = [size for size in range(1, 60) if recovered(model, choose(scores, shape, size)) >= 0.8]
    assert found["size_80"]["value"] in [choose(scores, shape, size).sum() for size in enough]
    needed = [found[f"size_{share}"]["value"] for share in (50, 80, 90, 95)]
    assert needed == sorted(needed)


def test_minimality_is_the_least_change_when_a_node_is_taken_out(model: TransformerBridge) -> None:
    shape, scores = graph_shape(model), scores_of(model, BUCKETS)
    found = quality(evaluate(model, BUCKETS, scores))
    size = next(
        size
        for size in range(1, 60)
        if choose(scores, shape, size).sum() == found["size_80"]["value"]
    )
    circuit = choose(scores, shape, size)
    whole = recovered(model, circuit)
    changes = []
    for node in shape.sources[1:]:
        out = np.array([source == node for source, _ in shape.edges])
        if (circuit & out).any():
            without = prune(circuit & ~out, shape)
            changes.append(abs(whole - recovered(model, without)))
    assert len(changes) > 1
    assert found["minimality"]["value"] == pytest.approx(min(changes), abs=1e-5)


def test_the_true_circuit_of_a_model_written_by_hand_is_faithful_complete_and_minimal(
    boot: Boot,
) -> None:
    """A word, another word, ..., the first again: the second follows. Heads take one edge each."""
    bridge = boot(induction_model())
    tokens = torch.tensor([[5, 6, 7, 5], [8, 9, 10, 8]])
    corrupted = tokens.clone()
    corrupted[:, 0] = torch.tensor([11, 12])
    prompts = Prompts(
        rows=np.arange(2),
        tokens=tokens,
        answer=tokens[:, 1],
        foils=torch.tensor([[20], [21]]),
        corrupted={"swap": corrupted},
        positions={},
    )
    true = {("input", "a0.h0<v>"), ("a0.h0", "a1.h0<k>"), ("a1.h0", "logits")}
    shape = graph_shape(bridge)
    scores = np.array([float((s.name, t.name) in true) for s, t in shape.edges])
    found = evaluate(bridge, [prompts], scores)
    size_80 = quality(found)["size_80"]
    assert size_80["value"] == size_80["ci_low"] == size_80["ci_high"] == len(true)
    rows = [row for row in found["faithfulness"].to_pylist() if row["n_edges"]]
    assert len(true) <= rows[0]["n_edges"] < len(shape.edges) / 2
    for row in rows:
        assert row["faithfulness"] == pytest.approx(1, abs=0.05)
        assert row["completeness"] == pytest.approx(0, abs=0.05)
    assert quality(found)["minimality"]["value"] == pytest.approx(1, abs=0.05)


def test_all_sizes_take_one_reference_pass_and_one_clean_pass(
    gpt2: TransformerBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole runs of the model: circuits run by blocks, see `test_forward`."""
    rows: list[int] = []
    prompts = random_prompts(5, length=6)
    scores = scores_of(gpt2, [prompts])

    def count(activation: torch.Tensor, hook: object) -> None:
        rows.append(len(activation))

    gpt2.add_hook("unembed.hook_in", count)
    evaluate(gpt2, [prompts], scores, batch=5)
    gpt2.reset_hooks()
    assert rows == [5, 5]


@pytest.mark.parametrize("ablation", ["mean", "zero"])
def test_other_ablations_have_another_zero_but_the_same_whole(
    gpt2: TransformerBridge, ablation: str
) -> None:
    scores = scores_of(gpt2, BUCKETS)
    resampled = evaluate(gpt2, BUCKETS, scores)["faithfulness"]["faithfulness"].to_numpy()
    other = evaluate(gpt2, BUCKETS, scores, ablation=ablation)
    shares = other["faithfulness"]["faithfulness"].to_numpy()
    assert shares[-1] == 1
    assert np.abs(shares - resampled).max() > 0.01


def test_what_cannot_be_told_is_null(gpt2: TransformerBridge) -> None:
    prompts = random_prompts(3, length=6, foils=1)
    prompts.foils[:] = prompts.answer[:, None]
    found = evaluate(gpt2, [prompts], scores_of(gpt2, BUCKETS))
    for table in found.values():
        assert table["ci_low"].null_count == len(table)
    assert found["faithfulness"]["n_edges"].null_count == 0


def test_tables_have_the_columns_of_their_schemas_but_the_step(gpt2: TransformerBridge) -> None:
    tables = evaluate(gpt2, BUCKETS, scores_of(gpt2, BUCKETS))
    assert tables["faithfulness"].schema == FAITHFULNESS.remove(0)
    assert tables["circuit_quality"].schema == CIRCUIT_QUALITY.remove(0)
    for table in tables.values():
        assert set(table["corruption"].to_pylist()) == {"swap"}
        assert set(table["method"].to_pylist()) == {"EAP"}
    names = "CMD CPR minimality size_50 size_80 size_90 size_95 weighted_size_80"
    assert tables["circuit_quality"]["measure"].to_pylist() == names.split()


def test_a_model_that_is_not_the_sum_of_its_edges_is_refused(gpt2: TransformerBridge) -> None:
    shape = graph_shape(gpt2)
    check_matches_model(gpt2, shape, BUCKETS, "swap", LOGIT_DIFF)
    gpt2.blocks[1].ln1.register_forward_hook(lambda module, args, output: 1.1 * output)
    with pytest.raises(UserError, match="with every edge kept"):
        check_matches_model(gpt2, shape, BUCKETS, "swap", LOGIT_DIFF)
