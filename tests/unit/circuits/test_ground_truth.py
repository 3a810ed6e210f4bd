"""Models written by hand, whose circuit is known: every method ranks its edges first.

Every model is a fair chance for every method. Where an attention is saturated the gradient at its
queries and keys is zero (see the last test), and a norm lets every edge into its reader matter a
little, through its divisor. So attention is sharp here but not saturated, and the norms divide by a
constant.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from circuits.ablation_oracles import Written, ablated_run, written_when_corrupted
from circuits.ground_truth.induction import induction_model
from circuits.ground_truth.models import TRUTHS
from circuits.ground_truth.truth import CORRUPTION, Truth
from circuits.score_batches import score_batches
from jaxtyping import Bool, Float
from tiny_models import Boot
from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.intervention.evaluate import CircuitEvaluator
from timelapse.circuits.methods import METHODS, MethodSettings
from timelapse.circuits.model_check import graph_of
from timelapse.circuits.search.acdc import acdc_circuit
from timelapse.circuits.search.node_ablation import surviving_nodes
from timelapse.models.metric import LOGIT_DIFF
from timelapse.models.prompts import Prompts


@dataclass(frozen=True)
class Known:
    """A ground truth with its model loaded; `edges` and `nodes` say which are true."""

    truth: Truth
    bridge: TransformerBridge
    shape: GraphShape

    @property
    def edges(self) -> Bool[np.ndarray, " edge"]:
        names = [(source.name, target.name) for source, target in self.shape.edges]
        assert self.truth.edges <= set(names)
        return np.array([edge in self.truth.edges for edge in names])

    @property
    def nodes(self) -> Bool[np.ndarray, " source"]:
        names = [source.name for source in self.shape.sources]
        assert self.truth.nodes <= set(names)
        return np.array([node in self.truth.nodes for node in names])

    def logit_difference(
        self, prompts: Prompts, ablated: Written, kept: Bool[np.ndarray, " edge"]
    ) -> Float[torch.Tensor, " batch"]:
        return ablated_run(self.bridge, self.shape, prompts, ablated, kept.tolist())


@pytest.fixture(scope="module", params=TRUTHS)
def known(request: pytest.FixtureRequest, boot: Boot) -> Known:
    truth = TRUTHS[request.param]
    bridge = boot(truth.model())
    return Known(truth, bridge, graph_of(bridge, truth.prompts, CORRUPTION, LOGIT_DIFF))


def auc(scores: Float[np.ndarray, " item"], true: Bool[np.ndarray, " item"]) -> float:
    """Share of pairs of a true and a false item in which the true one has the larger |score|."""
    apart = np.abs(scores[true])[:, None] - np.abs(scores[~true])
    return float(((apart > 0) + 0.5 * (apart == 0)).mean())


def mean_scores(known: Known, method: str, settings: MethodSettings) -> Float[np.ndarray, " item"]:
    batches = score_batches(
        method, known.bridge, known.shape, known.truth.prompts, CORRUPTION, settings
    )
    return torch.cat([batch.scores for batch in batches], dim=1).mean(1).numpy()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ranks_the_true_edges_first(known: Known, method: str) -> None:
    scores = mean_scores(known, method, MethodSettings())
    true = known.nodes if len(scores) == len(known.nodes) else known.edges
    assert len(scores) == len(true)
    assert auc(scores, true) == 1.0
    assert (scores[true] < 0).all(), "true edges help"


@pytest.mark.parametrize("method", METHODS)
def test_so_it_does_when_ablated_by_the_mean(known: Known, method: str) -> None:
    """Methods that ablate nothing do not care."""
    scores = mean_scores(known, method, MethodSettings(ablation="mean"))
    true = known.nodes if len(scores) == len(known.nodes) else known.edges
    assert auc(scores, true) == 1.0


def test_searches_keep_the_true_edges_and_nodes_alone(known: Known) -> None:
    evaluator = CircuitEvaluator(
        known.bridge, known.shape, known.truth.prompts, CORRUPTION, LOGIT_DIFF
    )
    np.testing.assert_array_equal(acdc_circuit(evaluator, known.shape, 0.01), known.edges)
    survives = surviving_nodes(evaluator, known.shape, 0.8)
    np.testing.assert_array_equal(survives, known.nodes)


def test_the_area_counts_ties_half() -> None:
    true = np.array([True, False, False, True])
    assert auc(np.array([-3.0, 2.0, -1.0, 4.0]), true) == 1.0
    assert auc(np.array([-3.0, 3.0, -1.0, 2.0]), true) == pytest.approx(2.5 / 4)
    assert auc(np.zeros(4), true) == 0.5


def test_a_true_edge_matters_by_itself_and_the_others_not_even_together(known: Known) -> None:
    everything = np.ones(len(known.edges), dtype=bool)
    for prompts in known.truth.prompts:
        ablated = written_when_corrupted(known.bridge, known.shape, prompts, CORRUPTION)
        clean = known.logit_difference(prompts, ablated, everything)
        assert (clean > 0.5).all(), "the model does not answer"
        for edge in np.flatnonzero(known.edges):
            without = everything.copy()
            without[edge] = False
            lost = clean - known.logit_difference(prompts, ablated, without)
            assert (lost > 0.5 * clean).all(), known.shape.edges[edge]
        for edge in np.flatnonzero(~known.edges):
            without = everything.copy()
            without[edge] = False
            alone = known.logit_difference(prompts, ablated, without)
            torch.testing.assert_close(alone, clean, rtol=1e-5, atol=1e-5)
        circuit = known.logit_difference(prompts, ablated, known.edges)
        torch.testing.assert_close(circuit, clean, rtol=1e-5, atol=1e-5)


def test_what_is_not_in_the_circuit_is_busy_nevertheless(known: Known) -> None:
    """Corrupted prompts change what all heads and MLPs write, but for those said to be idle."""
    prompts = known.truth.prompts[0]
    clean = Prompts(**{**vars(prompts), "corrupted": {CORRUPTION: prompts.tokens}})
    written = [
        written_when_corrupted(known.bridge, known.shape, some, CORRUPTION)
        for some in (prompts, clean)
    ]
    for source in known.shape.sources:
        change = (written[0][source] - written[1][source]).abs().max()
        assert (change < 1e-6) if source.name in known.truth.idle else (change > 0.05), source
    busy = set(source.name for source in known.shape.sources) - known.truth.idle
    assert len(busy - known.truth.nodes) > 1


def test_saturated_attention_hides_its_queries_and_keys_from_gradients_alone(boot: Boot) -> None:
    """The same circuit: each of its edges still matters wholly, and is found by patching."""
    truth = TRUTHS["induction"]
    bridge = boot(induction_model(sharp=60.0))
    saturated = Known(truth, bridge, graph_of(bridge, truth.prompts, CORRUPTION, LOGIT_DIFF))
    names = [f"{source.name}->{target.name}" for source, target in saturated.shape.edges]
    hidden = ["input->a0.h0<v>", "a0.h0->a1.h0<k>", "input->a1.h0<q>"]
    for method in ("EAP", "EAP-IG", "clean-corrupted"):
        scores = dict(zip(names, mean_scores(saturated, method, MethodSettings()), strict=True))
        assert max(abs(scores[edge]) for edge in hidden) < 1e-6
        assert scores["a1.h0->logits"] == pytest.approx(-1, abs=1e-5)
    for method in ("exact", "node-ablation", "ACDC"):
        found = mean_scores(saturated, method, MethodSettings())
        assert auc(found, saturated.edges) == 1.0
        scores = dict(zip(names, found, strict=True))
        assert all(scores[edge] == pytest.approx(-1, abs=1e-5) for edge in hidden)
