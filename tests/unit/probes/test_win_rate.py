"""Win rate: counted by hand, and its interval."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import gpt2_config
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from timelapse.models.metric import PROBABILITY_DIFF
from timelapse.models.prompts import Prompts
from timelapse.probes.win_rate import win_rate


class FixedLogits(PreTrainedModel):
    """A model whose logits after a prompt are those that stand in a row for its first token."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__(PretrainedConfig())
        self.logits = torch.nn.Parameter(logits, requires_grad=False)

    def forward(self, tokens: torch.Tensor, logits_to_keep: int) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits[tokens[:, 0], None])


def bucket(first: list[int], answer: list[int], foils: list[list[int]]) -> Prompts:
    return Prompts(
        rows=np.arange(len(first)),
        tokens=torch.tensor([[token, 0] for token in first]),
        answer=torch.tensor(answer),
        foils=torch.tensor(foils),
        corrupted={},
        positions={},
    )


LOGITS = torch.tensor([[2.0, 0.0, 1.0, -1.0], [0.0, 3.0, 1.0, 1.0], [0.5, 0.0, 0.0, 4.0]])


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_wins_and_logit_differences_are_those_counted_by_hand(batch_size: int) -> None:
    prompts = [bucket([0, 1], [0, 2], [[1, 2], [1, 3]]), bucket([2], [3], [[0, 1]])]
    (row,) = win_rate(FixedLogits(LOGITS), prompts, batch_size).to_pylist()
    differences = [2.0 - 0.5, 1.0 - 2.0, 4.0 - 0.25]
    probabilities = [LOGITS.softmax(-1)[p, a].item() for p, a in [(0, 0), (1, 2), (2, 3)]]
    assert (row["n"], row["wins"]) == (3, 2)
    assert row["win_rate"] == pytest.approx(2 / 3)
    assert row["logit_diff"] == pytest.approx(np.mean(differences))
    assert row["logit_diff_se"] == pytest.approx(np.std(differences, ddof=1) / 3**0.5)
    assert row["answer_probability"] == pytest.approx(np.mean(probabilities))
    assert row["metric"] == "logit_diff"
    assert (row["metric_value"], row["metric_se"]) == (row["logit_diff"], row["logit_diff_se"])


def test_another_metric_stands_beside_the_logit_difference() -> None:
    prompts = [bucket([0, 1], [0, 2], [[1, 2], [1, 3]])]
    (row,) = win_rate(FixedLogits(LOGITS), prompts, 10, PROBABILITY_DIFF).to_pylist()
    p = LOGITS.softmax(-1)
    expected = [p[0, 0] - p[0, 1] - p[0, 2], p[1, 2] - p[1, 1] - p[1, 3]]
    assert row["metric"] == "probability_diff"
    assert row["metric_value"] == pytest.approx(float(sum(expected)) / 2)
    assert row["logit_diff"] == pytest.approx((1.5 - 1.0) / 2)


def test_a_word_outside_answer_and_foils_can_beat_the_answer() -> None:
    (row,) = win_rate(FixedLogits(LOGITS), [bucket([1], [2], [[0, 3]])], 10).to_pylist()
    assert row["wins"] == 0
    assert row["logit_diff"] > 0


def test_a_transformers_model_is_measured_at_the_last_position() -> None:
    model = AutoModelForCausalLM.from_config(gpt2_config()).eval()
    prompts = bucket([5, 6, 7], [1, 2, 3], [[4], [5], [6]])
    (row,) = win_rate(model, [prompts], 2).to_pylist()
    logits = model(prompts.tokens).logits[:, -1]
    wins = (logits.argmax(-1) == prompts.answer).sum().item()
    difference = (logits[range(3), [1, 2, 3]] - logits[range(3), [4, 5, 6]]).mean().item()
    assert row["wins"] == wins
    assert row["logit_diff"] == pytest.approx(difference, abs=1e-5)
