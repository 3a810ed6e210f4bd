"""Labels of heads: a run whose heads are kept, amplified, ... by construction gets these labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from circuits.comparison.handmade import FOUR_HEADS, row, samples_of

from timelapse.circuits.comparison.heads import LABELS, head_labels, head_table
from timelapse.tables import HEADS

# Summed scores of a head's out-edges at the first, a middle and the last step.
COURSE = {
    "a0.h0": (-4.0, -4.0, -4.0),
    "a0.h1": (-1.0, -2.0, -3.0),
    "a0.h2": (2.0, 1.0, 0.5),
    "a0.h3": (0.0, 0.0, 1.0),
    "a1.h0": (-1.5, -1.5, 0.0),
    "a1.h1": (0.0, 0.0, 0.0),
    "a1.h2": (1.0, 1.0, -1.0),
    "a1.h3": (0.01, 0.02, 0.03),
}
LAST = ["kept", "amplified", "weakened", "added", "lost", "", "added", ""]
MIDDLE = ["kept", "amplified", "weakened", "", "kept", "", "kept", ""]
FIRST = ["kept", "kept", "kept", "", "kept", "", "kept", ""]


def scores(step: int) -> np.ndarray:
    """Each head's score is spread over the MLP after it and the logits; the effect is always 4."""
    edges = {"input->logits": -1.0, "input->m0": -3.0}
    for name, course in COURSE.items():
        edges[f"{name}->m1"] = 0.25 * course[step]
        edges[f"{name}->logits"] = 0.75 * course[step]
    return row(FOUR_HEADS, edges)


@pytest.fixture
def heads(tmp_path: Path) -> pa.Table:
    samples = samples_of(tmp_path, {8 * step: scores(step) for step in range(3)}, noise=0.05)
    return head_table(samples, FOUR_HEADS, n_resamples=200, seed=0, task="ioi3")


def test_heads_get_the_labels_that_they_were_made_for(heads: pa.Table) -> None:
    assert heads.schema == HEADS
    assert heads["step"].to_pylist() == [0] * 8 + [8] * 8 + [16] * 8
    assert heads["layer"].to_pylist() == [0, 0, 0, 0, 1, 1, 1, 1] * 3
    assert heads["head"].to_pylist() == [0, 1, 2, 3] * 6
    assert heads["label"].to_pylist() == FIRST + MIDDLE + LAST


def test_a_heads_score_is_the_sum_over_its_out_edges(heads: pa.Table) -> None:
    found = heads["score"].to_numpy().reshape(3, 8)
    assert found == pytest.approx(np.array(list(COURSE.values())).T, abs=0.1)
    low, high = (heads[name].to_numpy().reshape(3, 8) for name in ("ci_low", "ci_high"))
    assert ((low < found) & (found < high)).all()
    assert ((high - low) < 0.3).all()


def test_the_same_seed_gives_the_same_table(tmp_path: Path, heads: pa.Table) -> None:
    samples = samples_of(tmp_path, {8 * step: scores(step) for step in range(3)}, noise=0.05)
    again = head_table(samples, FOUR_HEADS, n_resamples=200, seed=0, task="ioi3")
    other = head_table(samples, FOUR_HEADS, n_resamples=200, seed=1, task="ioi3")
    assert again.equals(heads)
    assert not other.equals(heads)


def test_a_head_that_noise_could_explain_is_absent(tmp_path: Path) -> None:
    """Its score is a quarter of the largest or more, but its interval holds 0."""
    samples = samples_of(tmp_path, {0: scores(0), 8: scores(2)}, noise=2.0)
    labels = head_table(samples, FOUR_HEADS, 200, 0, "ioi3")["label"].to_pylist()
    assert labels[0] == "kept"
    assert "" in (labels[1], labels[4], labels[6])


def labels_of(resampled: np.ndarray, *effects: float) -> list[str]:
    """Of one head, with what corrupting the whole prompt does at every step."""
    found = head_labels(resampled, np.array(effects))
    return [LABELS[label] for label in found[:, 0]]


def sure(*course: float) -> np.ndarray:
    """One head's score at every step, the same in all resamples."""
    return np.tile(np.array(course)[:, None], (50, 1, 1))


def test_what_counts_as_present_is_told_by_the_step_and_not_by_later_ones() -> None:
    """A tenth of a small effect is much, even if the effect grows tenfold later."""
    assert labels_of(sure(-0.16, -0.16, -2.3), 1.6, 1.6, 16.0) == ["kept", "kept", "amplified"]
    assert labels_of(sure(-0.16, -0.16), 1.6, 1.6) == ["kept", "kept"]


def test_only_what_has_changed_is_added_or_lost() -> None:
    """A score that falls below a floor that has risen is the same score."""
    assert labels_of(sure(-0.33, -0.26), 14.0, 14.0) == ["kept", "kept"]
    assert labels_of(sure(-0.26, -0.33), 14.0, 14.0) == ["", "kept"]
    assert labels_of(sure(-0.33, 0.0), 12.0, 14.0) == ["kept", "lost"]
    assert labels_of(sure(0.0, -0.33), 14.0, 12.0) == ["", "added"]
    assert labels_of(sure(0.33, -0.33), 14.0, 12.0) == ["kept", "added"]


def test_changes_are_paired_by_prompt() -> None:
    """The head's score varies much more over the resamples than its change does."""
    random = np.random.default_rng(0)
    common = 0.2 * random.standard_normal((201, 1, 1))
    own = 0.01 * random.standard_normal((201, 2, 1))
    common[0] = own[0] = 0
    resampled = np.array([[[-1.0], [-1.1]]]) + common + own
    assert labels_of(resampled, 1.0, 1.0)[1] == "amplified"
    shuffled = resampled.copy()
    shuffled[1:, 1] = shuffled[1:, 1][random.permutation(200)]
    assert labels_of(shuffled, 1.0, 1.0)[1] == "kept"


def test_a_sure_change_that_is_too_small_to_matter_is_none() -> None:
    assert labels_of(sure(-1.0, -1.01), 1.0, 1.0)[1] == "kept"
    assert labels_of(sure(-1.0, -1.05), 1.0, 1.0)[1] == "amplified"


def test_heads_that_do_nothing_at_all_have_no_label() -> None:
    assert not head_labels(np.zeros((20, 3, 4)), np.zeros(3)).any()
