"""When the state of a training is written: by time, and never for more than a small share of it."""

import pytest

from timelapse.models.training_state import (
    INTERVAL,
    INTERVAL_AT_CHECKPOINTS,
    SHARE,
    StateTimer,
)


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def states_of(step_seconds: float, steps: int, every: int, cost: float) -> list[int]:
    """The steps whose state is written in a training with a checkpoint after `every` steps."""
    clock = Clock()
    timer = StateTimer(clock)
    written = []
    for step in range(1, steps + 1):
        clock.now += step_seconds
        if timer.is_due(weights_are_kept=step % every == 0):
            with timer.writing():
                clock.now += cost
            written.append(step)
    return written


def test_without_checkpoints_a_state_is_written_every_five_minutes() -> None:
    assert states_of(step_seconds=10, steps=100, every=1000, cost=0) == [30, 60, 90]


def test_at_checkpoints_a_state_is_written_a_minute_after_the_last() -> None:
    assert states_of(step_seconds=10, steps=20, every=4, cost=0) == [8, 16]


def test_checkpoints_in_quick_succession_write_no_state_each() -> None:
    """A model of 135 M parameters on a fast GPU: 184 steps of 0.05 s, a checkpoint after 8."""
    assert states_of(step_seconds=0.05, steps=184, every=8, cost=3) == []


@pytest.mark.parametrize("cost", [1, 30, 600])
def test_writing_states_takes_a_small_share_of_the_time(cost: float) -> None:
    states = states_of(step_seconds=5, steps=20_000, every=2, cost=cost)
    assert len(states) > 1
    assert len(states[1:]) * cost < SHARE * 5 * 20_000


def test_a_state_counts_from_the_end_of_the_last() -> None:
    clock = Clock()
    timer = StateTimer(clock)
    with timer.writing():
        clock.now += 2
    clock.now += INTERVAL_AT_CHECKPOINTS
    assert timer.is_due(weights_are_kept=True) and not timer.is_due(weights_are_kept=False)
    clock.now += INTERVAL - INTERVAL_AT_CHECKPOINTS
    assert timer.is_due(weights_are_kept=False)
