"""Out of memory halves the batch, and what comes out is the same."""

import logging
from pathlib import Path

import pytest
import torch
from tiny_models import random_prompts
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import LiveSource
from timelapse.errors import UserError
from timelapse.models.device import FittingBatch
from timelapse.probes.attention import attention, first_attention
from timelapse.probes.attention_patterns import needs
from timelapse.probes.logit_diff import logit_diff
from timelapse.probes.logit_diff import needs as logit_diff_needs
from timelapse.probes.probe_settings import AttentionSettings

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")


def room_for(most: int, tried: list[int], error: Exception = FULL):
    """A measurement that fits with batches of at most `most`."""

    def measure(size: int) -> int:
        tried.append(size)
        if size > most:
            raise error
        return size

    return measure


def test_the_batch_is_halved_until_it_fits_and_stays_so(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []
    batch = FittingBatch(100)
    with caplog.at_level(logging.WARNING):
        assert batch.run(room_for(30, tried)) == 25
    assert tried == [100, 50, 25]
    assert batch.run(room_for(30, tried)) == 25
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA out of memory. Tried to allocate 2.00 GiB.: going on with batches of 50",
        "CUDA out of memory. Tried to allocate 2.00 GiB.: going on with batches of 25",
    ]


def test_the_memory_of_the_cpu_may_run_out_too() -> None:
    full = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")
    assert FittingBatch(2).run(room_for(1, [], full)) == 1


def test_one_prompt_that_does_not_fit_is_told() -> None:
    with pytest.raises(UserError, match=r"compute.*single prompt"):
        FittingBatch(4).run(room_for(0, []))


def test_other_errors_pass() -> None:
    tried: list[int] = []
    with pytest.raises(RuntimeError, match="shapes"):
        FittingBatch(4).run(room_for(0, tried, RuntimeError("shapes do not fit")))
    assert tried == [4]


def test_what_the_failed_run_held_is_free_when_the_next_begins() -> None:
    alive: list[int] = []

    class Held:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    def measure(size: int) -> int:
        held = Held()
        if size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return len(alive) if held else 0

    assert FittingBatch(8).run(measure) == 1


class FullModel:
    """Makes a model's memory run out in passes of more than `most` prompts, from a pass on."""

    def __init__(self, bridge: TransformerBridge, most: int, after: int = 0) -> None:
        self.most, self.passes, self.after, self.failures = most, 0, after, 0
        self._handle = bridge.original_model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, _: object, args: tuple, kwargs: dict) -> None:
        tokens = args[0] if args else kwargs["input_ids"]
        self.passes += 1
        if self.passes > self.after and len(tokens) > self.most:
            self.failures += 1
            raise FULL

    def remove(self) -> None:
        self._handle.remove()


def test_a_measurement_that_ran_out_of_memory_is_the_same(gpt2: TransformerBridge) -> None:
    prompts = [random_prompts(7, length=6)]
    source = LiveSource(gpt2, logit_diff_needs(gpt2.cfg))
    wanted = logit_diff(gpt2, source, prompts, 7)
    full = FullModel(gpt2, most=3)
    try:
        batch = FittingBatch(7)
        found = batch.run(lambda size: logit_diff(gpt2, source, prompts, size))
    finally:
        full.remove()
    assert full.failures == 1 and batch.size == 3
    difference = found["value"].to_numpy() - wanted["value"].to_numpy()
    assert abs(difference).max() < 1e-5 < abs(wanted["value"].to_numpy()).max()


def test_changes_of_attention_survive_another_batch_size_at_a_later_step(
    gpt2: TransformerBridge,
) -> None:
    prompts = [random_prompts(7, length=6), random_prompts(4, length=5)]
    for bucket in prompts:
        bucket.positions["end"] = torch.full((len(bucket),), bucket.tokens.shape[1] - 1)
    source = LiveSource(gpt2, needs(gpt2.cfg))
    settings, unread = AttentionSettings(resamples=5), Path("no heads are kept")
    first = first_attention(gpt2, source, prompts, 7)
    found = attention(gpt2, source, prompts, 2, settings, 0, unread, first)
    table = found["attention_change"]
    assert len(table) == 4
    assert table["value"].to_numpy() == pytest.approx(0, abs=1e-6)
