"""Metrics: values by hand, the same number from logits and from the stream, refusals."""

import subprocess
import sys

import pytest
import torch
from tiny_models import ARCHITECTURES, Boot, gpt2_config, random_model, random_prompts

from timelapse.errors import UserError
from timelapse.models import hooks
from timelapse.models.hooks import Recorder, last_logits
from timelapse.models.metric import DEFAULT_METRIC, LOGIT_DIFF, METRICS, PROBABILITY_DIFF, Metric

LOGITS = torch.tensor([[1.0, 2.0, 4.0, 0.0], [3.0, 0.0, 0.0, 1.0]])
ANSWER = torch.tensor([2, 0])
FOILS = torch.tensor([[0, 1], [1, 3]])


def test_the_logit_difference_is_the_answer_minus_the_mean_of_the_foils() -> None:
    assert LOGIT_DIFF.value(LOGITS, ANSWER, FOILS).tolist() == [2.5, 2.5]


def test_the_probability_difference_is_the_answer_minus_the_sum_of_the_foils() -> None:
    odds = LOGITS.exp()
    wanted = torch.stack(
        [odds[0, 2] - odds[0, 0] - odds[0, 1], odds[1, 0] - odds[1, 1] - odds[1, 3]]
    )
    found = PROBABILITY_DIFF.value(LOGITS, ANSWER, FOILS)
    torch.testing.assert_close(found, wanted / odds.sum(1))


def test_two_tokens_that_share_the_mass_differ_by_its_tanh() -> None:
    """P(a) - P(b) = tanh((a - b) / 2) where no other token has any."""
    logits = torch.tensor([[1.0, 0.25]])
    found = PROBABILITY_DIFF.value(logits, torch.tensor([0]), torch.tensor([[1]]))
    torch.testing.assert_close(found, torch.tensor([0.75 / 2]).tanh())


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_values_are_float32_at_least(metric: Metric) -> None:
    half = metric.value(LOGITS.half(), ANSWER, FOILS)
    assert half.dtype == torch.float32
    assert metric.value(LOGITS.double(), ANSWER, FOILS).dtype == torch.float64
    torch.testing.assert_close(half, metric.value(LOGITS, ANSWER, FOILS))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_value_of_a_stream_is_that_of_its_logits(
    boot: Boot, architecture: str, metric: Metric
) -> None:
    bridge = boot(random_model(ARCHITECTURES[architecture]()))
    prompts = random_prompts(3, length=6)
    recorder = Recorder()
    with bridge.hooks(fwd_hooks=[recorder.keep(hooks.resid_post(1))]):
        logits = last_logits(bridge, prompts.tokens)
    expected = metric.value(logits, prompts.answer, prompts.foils)
    stream = recorder[hooks.resid_post(1)][:, -1]
    found = metric.value_of_stream(bridge, stream, prompts.answer, prompts.foils)
    assert expected.abs().max() > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_values_of_many_cells_are_those_of_each(boot: Boot, metric: Metric) -> None:
    bridge = boot(random_model(gpt2_config()))
    prompts = random_prompts(3, length=6)
    normed = torch.randn(2, 4, 3, 16)
    rest = (bridge.W_U.detach().T, bridge.b_U.detach(), prompts.answer, prompts.foils)
    together = metric.value_of_normed(normed, *rest)
    assert together.shape == (2, 4, 3)
    alone = metric.value_of_normed(normed[1, 2], *rest)
    torch.testing.assert_close(together[1, 2], alone, rtol=1e-5, atol=1e-6)


def test_a_linear_metric_is_its_direction_and_its_offset(boot: Boot) -> None:
    bridge = boot(random_model(gpt2_config()))
    prompts = random_prompts(3, length=6)
    normed = torch.randn(3, 16)
    logits = normed @ bridge.W_U.detach() + bridge.b_U.detach()
    direction = LOGIT_DIFF.direction(bridge, prompts.answer, prompts.foils)
    offset = LOGIT_DIFF.offset(bridge, prompts.answer, prompts.foils)
    torch.testing.assert_close(
        (normed * direction).sum(1) + offset,
        LOGIT_DIFF.value(logits, prompts.answer, prompts.foils),
        rtol=1e-4,
        atol=1e-5,
    )


def test_what_needs_a_linear_metric_refuses_another() -> None:
    LOGIT_DIFF.check_linear("the logit_diff probe")
    with pytest.raises(UserError, match=r"the logit_diff probe .* probability_diff .* logit_diff"):
        PROBABILITY_DIFF.check_linear("the logit_diff probe")


def test_metrics_stand_under_their_names() -> None:
    assert DEFAULT_METRIC == "logit_diff"
    assert all(name == metric.name for name, metric in METRICS.items())


def test_names_and_units_are_read_without_torch() -> None:
    code = "import sys; from timelapse.models.metric import METRICS; print('torch' in sys.modules)"
    env = {"PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
