"""The comparison table of runs made by hand, and its verdict."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from circuits.comparison.handmade import FOUR_HEADS, Edges, merged, path, row, samples_of

from timelapse.circuits.comparison import table
from timelapse.circuits.comparison.circuit_sets import pairs_across, pairs_within
from timelapse.circuits.comparison.measures import LAYER_CHANGE, OVERLAPS, RELATIVE
from timelapse.circuits.comparison.table import ComparisonSettings, compare
from timelapse.circuits.comparison.verdict import Verdict, estimate, verdict
from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.errors import UserError
from timelapse.tables import COMPARISON

SETTINGS = ComparisonSettings(edges=8, checkpoints=5, resamples=100, splits=20, seed=0)
EASY = merged(path("a0.h0", "a1.h0", score=-3.0), path("a0.h1", score=-2.0))
OWN = merged(path("a0.h2", "a1.h2", score=-3.0), path("a0.h3", score=-2.0))
WEAK = path("a0.h0", "a1.h1", score=-0.5)
STEPS = (0, 8, 16, 24)


def between(before: Edges, after: Edges) -> dict[int, np.ndarray]:
    """From one circuit to another over the steps."""
    first, last = row(FOUR_HEADS, before), row(FOUR_HEADS, after)
    return {step: first + (last - first) * step / STEPS[-1] for step in STEPS}


def run(folder: Path, learned: Edges, noise: float = 0.5) -> dict[str, EdgeSamples]:
    """A run whose model could do ioi2 by EASY, and does ioi3 by `learned` in the end."""
    return {
        "ioi2": samples_of(folder / "ioi2", between(EASY, EASY), noise, seed=1),
        "ioi3": samples_of(folder / "ioi3", between(WEAK, learned), noise, seed=2),
    }


def rows(found: pa.Table, **conditions: object) -> pa.Table:
    for name, value in conditions.items():
        found = found.filter(pc.equal(found[name], value))
    return found


def numbers(found: pa.Table, name: str = "value") -> np.ndarray:
    assert len(found)
    return found[name].to_numpy()


def judged(folder: Path, learned: Edges, noise: float = 0.5) -> Verdict:
    found = compare("ioi3", run(folder, learned, noise), FOUR_HEADS, SETTINGS)
    return verdict(found, "ioi2", "ioi3")


def test_a_run_that_uses_the_circuit_that_it_had_has_transformed_it(tmp_path: Path) -> None:
    found = judged(tmp_path, merged(EASY, path("a1.h3", score=-0.8)))
    assert found.word == "transformed"
    assert 0.85 < found.share.low <= found.share.value <= found.share.high < 1
    assert found.chance == pytest.approx(0.05, abs=0.03)
    assert found.sentence == (
        "**Transformed**: 89 % (95 % interval 88–90 %) of the weight of the final ioi3 circuit "
        "lies on edges that were already in the base model's ioi2 circuit; two halves of the same "
        "final prompts share 100 %, a random circuit of that size 5 %."
    )


def test_a_run_that_builds_another_circuit_has_added_one(tmp_path: Path) -> None:
    found = judged(tmp_path, merged(OWN, path("a1.h0", score=-0.8)))
    assert found.word == "added"
    assert found.share.high < 0.3
    assert found.relative.high < 0.5
    assert found.sentence.startswith("**Added**: ")


def test_a_run_that_does_both_alike_is_undecided(tmp_path: Path) -> None:
    assert judged(tmp_path, merged(EASY, OWN), noise=4.0).word == "undecided"


def test_edges_that_turn_round_are_no_weight_of_the_same_sign(tmp_path: Path) -> None:
    found = judged(tmp_path, {edge: -score for edge, score in EASY.items()})
    assert found.share.value > 0.9
    assert found.same_sign.value < 0.1


def test_a_control_is_compared_from_the_first_step_alone(tmp_path: Path) -> None:
    samples = run(tmp_path, OWN)
    control = samples_of(tmp_path / "months", {0: row(FOUR_HEADS, OWN)}, noise=0.5, seed=3)
    found = compare("ioi3", samples, FOUR_HEADS, SETTINGS, {"months": control})
    plain = compare("ioi3", samples, FOUR_HEADS, SETTINGS)
    months = pc.equal(found["task_a"], "months")
    assert found.filter(pc.invert(months)).equals(plain)
    for measure in ("weight_share", "edge_jaccard_corrected", RELATIVE):
        added = rows(found.filter(months), measure=measure).to_pylist()
        assert [(each["step_a"], each["step_b"]) for each in added] == [(0, t) for t in STEPS]
    judged_ = verdict(found, "ioi2", "ioi3", ["months"])
    assert judged_.controls["months"].value > 0.9 > judged_.share.value
    assert judged_.word == "added"


def test_a_run_that_uses_what_every_task_uses_is_undecided(tmp_path: Path) -> None:
    samples = run(tmp_path, EASY)
    control = samples_of(tmp_path / "months", {0: row(FOUR_HEADS, EASY)}, noise=0.5, seed=3)
    found = compare("ioi3", samples, FOUR_HEADS, SETTINGS, {"months": control})
    assert verdict(found, "ioi2", "ioi3").word == "transformed"
    assert verdict(found, "ioi2", "ioi3", ["months"]).word == "undecided"


def test_the_verdict_needs_its_rows(tmp_path: Path) -> None:
    found = compare("ioi3", run(tmp_path, OWN), FOUR_HEADS, SETTINGS)
    with pytest.raises(UserError, match="no weight_share of months at step 0 and ioi3 at step 24"):
        verdict(found, "months", "ioi3")


def test_every_measure_is_taken_of_every_pair(tmp_path: Path) -> None:
    found = compare("ioi3", run(tmp_path, OWN), FOUR_HEADS, SETTINGS)
    assert found.schema == COMPARISON
    measures = {*OVERLAPS, RELATIVE, *(f"{LAYER_CHANGE}:{part}" for part in _PARTS)}
    assert set(found["measure"].to_pylist()) == measures
    assert set(found["task_b"].to_pylist()) == {"ioi3"}
    for measure in measures:
        own = rows(found, measure=measure, task_a="ioi3").to_pylist()
        pairs = [(each["step_a"], each["step_b"]) for each in own]
        assert pairs == [(a, b) for a in STEPS for b in STEPS if a <= b]
        other = rows(found, measure=measure, task_a="ioi2").to_pylist()
        pairs = [(each["step_a"], each["step_b"]) for each in other]
        assert pairs == [*((t, t) for t in STEPS), *((0, t) for t in STEPS[1:])]


_PARTS = ("a0", "m0", "a1", "m1", "logits")


def test_a_checkpoint_is_its_own_equal(tmp_path: Path) -> None:
    found = compare("ioi3", run(tmp_path, OWN), FOUR_HEADS, SETTINGS)
    same = found.filter(
        pc.and_(pc.equal(found["step_a"], found["step_b"]), pc.equal(found["task_a"], "ioi3"))
    )
    for measure in (
        "edge_jaccard",
        "signed_edge_jaccard_corrected",
        "weight_share",
        "node_jaccard",
    ):
        for name in ("value", "ci_low", "ci_high"):
            assert numbers(rows(same, measure=measure), name) == pytest.approx(np.ones(4))
        assert (numbers(rows(same, measure=measure), "null_mean") < 1).any()
    for measure in ("edge_flips", "layer_change:m1"):
        for name in ("value", "ci_low", "ci_high"):
            assert numbers(rows(same, measure=measure), name) == pytest.approx(np.zeros(4))


def test_values_are_those_of_the_mean_scores(tmp_path: Path) -> None:
    """The layer change is a sum of differences of means over prompts and corruptions."""
    samples = run(tmp_path, OWN)
    found = compare("ioi3", samples, FOUR_HEADS, SETTINGS)
    first, last = (samples["ioi3"].pooled(step).mean(0) for step in (0, 24))
    logits = [target.name == "logits" for _, target in FOUR_HEADS.edges]
    expected = np.abs(last - first)[logits].sum()
    row_ = rows(found, measure="layer_change:logits", step_a=0, step_b=24, task_a="ioi3")
    assert numbers(row_) == pytest.approx([expected], rel=1e-4)
    assert expected > 5


def test_the_null_is_the_mean_of_the_two_checkpoints(tmp_path: Path) -> None:
    found = compare("ioi3", run(tmp_path, OWN, noise=4.0), FOUR_HEADS, SETTINGS)
    own = [numbers(_pair(found, step, step, "ioi3"), "null_mean").item() for step in (0, 24)]
    across = numbers(_pair(found, 0, 24, "ioi3"), "null_mean").item()
    assert own[0] != own[1]
    assert across == pytest.approx(np.mean(own))


def _pair(found: pa.Table, a: int, b: int, task: str) -> pa.Table:
    return rows(found, measure="edge_jaccard", step_a=a, step_b=b, task_a=task)


def test_the_relative_share_is_judged_by_the_later_checkpoints_halves(tmp_path: Path) -> None:
    found = compare("ioi3", run(tmp_path, OWN, noise=3.0), FOUR_HEADS, SETTINGS)
    steps, tasks = (0, 24), ("ioi2", "ioi3")
    share, chance, relative = (
        estimate(found, name, steps, tasks)
        for name in ("weight_share", "weight_share_chance", RELATIVE)
    )
    own = estimate(found, "weight_share", (24, 24), ("ioi3", "ioi3"))
    assert share and chance and relative and own
    expected = (share.value - chance.value) / (own.null - chance.value)
    assert relative.value == pytest.approx(expected, rel=1e-4)
    assert relative.null == 1


def test_checkpoints_that_differ_by_noise_alone_lie_within_what_halves_give(
    tmp_path: Path,
) -> None:
    """Fresh prompts at every step: halves have fewer prompts, so that they are less alike."""
    mean = row(FOUR_HEADS, EASY)
    random = np.random.default_rng(3)
    steps = {step: mean + 0.25 * random.standard_normal(len(mean)) for step in STEPS}
    samples = samples_of(tmp_path, steps, noise=0.25 * np.sqrt(2 * 60))
    found = compare("ioi3", {"ioi3": samples}, FOUR_HEADS, SETTINGS)
    apart = found.filter(pc.not_equal(found["step_a"], found["step_b"]))
    for measure in ("edge_jaccard", "signed_edge_jaccard", "score_cosine", "weight_share"):
        values, null = (numbers(rows(apart, measure=measure), n) for n in ("value", "null_mean"))
        assert values.mean() == pytest.approx(null.mean(), abs=0.1)
        assert values.mean() < 0.99
    changed = numbers(rows(apart, measure="edge_flips"))
    assert changed.mean() == pytest.approx(
        numbers(rows(apart, measure="edge_flips"), "null_mean").mean(), abs=2
    )
    assert changed.mean() > 0


def test_a_smaller_memory_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = run(tmp_path, OWN)
    at_once = compare("ioi3", samples, FOUR_HEADS, SETTINGS)
    monkeypatch.setattr(table, "MEMORY", 400_000)
    in_parts = compare("ioi3", samples, FOUR_HEADS, SETTINGS)
    for name in ("value", "ci_low", "ci_high", "null_mean"):
        assert numbers(in_parts, name) == pytest.approx(
            numbers(at_once, name), rel=1e-5, abs=1e-5, nan_ok=True
        )


def test_few_checkpoints_are_spread_evenly_with_both_ends(tmp_path: Path) -> None:
    few = ComparisonSettings(edges=8, checkpoints=3, resamples=10, splits=5, seed=0)
    found = compare("ioi3", run(tmp_path, OWN), FOUR_HEADS, few)
    assert sorted({*found["step_a"].to_pylist(), *found["step_b"].to_pylist()}) == [0, 16, 24]


def test_pairs_stand_once() -> None:
    assert pairs_within(3).tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]
    assert pairs_across(3).tolist() == [[0, 0], [1, 1], [2, 2], [0, 1], [0, 2]]
    assert pairs_across(1).tolist() == [[0, 0]]


def test_equal_seeds_give_equal_tables_and_others_other_intervals(tmp_path: Path) -> None:
    samples = run(tmp_path, OWN)
    first, again = (compare("ioi3", samples, FOUR_HEADS, SETTINGS) for _ in range(2))
    other = compare("ioi3", samples, FOUR_HEADS, ComparisonSettings(8, 5, 100, 20, seed=1))
    assert first.equals(again)
    plain = [found.filter(pc.not_equal(found["measure"], RELATIVE)) for found in (first, other)]
    assert numbers(plain[0]) == pytest.approx(numbers(plain[1]), nan_ok=True)
    assert not np.array_equal(numbers(first, "ci_low"), numbers(other, "ci_low"), equal_nan=True)


def test_a_task_that_lacks_a_step_is_refused(tmp_path: Path) -> None:
    samples = run(tmp_path, OWN)
    samples["ioi2"] = samples["ioi2"].at(STEPS[:-1])
    with pytest.raises(UserError, match="no table of step 24"):
        compare("ioi3", samples, FOUR_HEADS, SETTINGS)
