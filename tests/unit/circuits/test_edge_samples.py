"""Scores of single prompts come back pooled over the corruptions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from circuits.edge_tables import sample_rows, write_samples

from timelapse.circuits.edge_samples import EdgeSamples
from timelapse.errors import UserError
from timelapse.files import parquet
from timelapse.tables import EDGE_SAMPLES

RANDOM = np.random.default_rng(0)
STEPS = {
    step: {
        (corruption, method): RANDOM.standard_normal((5, 7)).astype(np.float32)
        for corruption in ("first", "second")
        for method in ("EAP", "exact")
    }
    for step in (0, 8)
}


def test_a_prompts_scores_are_the_mean_over_the_corruptions(tmp_path: Path) -> None:
    samples = EdgeSamples.open(write_samples(tmp_path, STEPS), "EAP", 7)
    assert samples.steps == (0, 8)
    assert samples.examples.tolist() == [0, 1, 2, 3, 4]
    expected = (STEPS[8]["first", "EAP"] + STEPS[8]["second", "EAP"]) / 2
    assert np.allclose(samples.pooled(8), expected)
    assert samples.pooled(8).dtype == np.float32


def test_prompts_are_matched_by_their_row_in_the_dataset(tmp_path: Path) -> None:
    """The corruptions list them in different orders."""
    order = np.array([3, 0, 4, 1, 2])
    first, second = STEPS[0]["first", "EAP"], STEPS[0]["second", "EAP"]
    path = tmp_path / "step-000000.parquet"
    parts = [
        sample_rows(0, {("first", "EAP"): first}),
        sample_rows(0, {("second", "EAP"): second[order]}, order),
    ]
    pq.write_table(pa.concat_tables(parts), path)
    assert np.allclose(EdgeSamples.open([path], "EAP", 7).pooled(0), (first + second) / 2)


def test_some_of_the_steps(tmp_path: Path) -> None:
    samples = EdgeSamples.open(write_samples(tmp_path, STEPS), "EAP", 7)
    assert samples.at([8]).steps == (8,)
    with pytest.raises(UserError, match=r"edge_samples: .*step 4 .*There are 0, 8"):
        samples.at([4])


def test_a_damaged_file_is_named_before_any_score_is_used(tmp_path: Path) -> None:
    paths = write_samples(tmp_path, STEPS)
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    with pytest.raises(UserError, match=f"{paths[1]}: not a readable Parquet file"):
        EdgeSamples.open(reversed(paths), "EAP", 7)


def test_a_file_may_hold_several_steps(tmp_path: Path) -> None:
    paths = write_samples(tmp_path, STEPS)
    both = tmp_path / "000000-000008.parquet"
    pq.write_table(pa.concat_tables(pq.read_table(path) for path in paths), both)
    together, apart = (EdgeSamples.open(files, "EAP", 7) for files in ([both], paths))
    assert together.steps == (0, 8)
    for step in (0, 8):
        assert np.array_equal(together.pooled(step), apart.pooled(step))


def test_other_prompts_than_at_the_first_step_are_told_with_the_file(tmp_path: Path) -> None:
    paths = write_samples(tmp_path, STEPS)
    pq.write_table(sample_rows(8, STEPS[8], np.array([0, 1, 2, 3, 9])), paths[1])
    samples = EdgeSamples.open(paths, "EAP", 7)
    with pytest.raises(UserError, match=f"{paths[1]}: example: other prompts"):
        samples.pooled(8)


def test_a_prompt_without_one_of_the_corruptions_is_told_with_the_file(tmp_path: Path) -> None:
    (path,) = write_samples(tmp_path, {0: STEPS[0]})
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)
    with pytest.raises(UserError, match=f"{path}: example: .* under the corruption first"):
        EdgeSamples.open([path], "EAP", 7)


def test_a_wrong_number_of_edges_is_told_with_the_file(tmp_path: Path) -> None:
    (path,) = write_samples(tmp_path, {0: STEPS[0]})
    with pytest.raises(UserError, match=f"{path}: scores: not every prompt has scores of 8 edges"):
        EdgeSamples.open([path], "EAP", 8)


def test_a_missing_method_is_told_with_the_file(tmp_path: Path) -> None:
    (path,) = write_samples(tmp_path, {0: STEPS[0]})
    with pytest.raises(UserError, match=f"{path}: method: .*EAP-IG. Choose among EAP, exact"):
        EdgeSamples.open([path], "EAP-IG", 7)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda rows: [None, *rows[1:]], "not every prompt has scores of 7 edges"),
        (lambda rows: [[None, *rows[0][1:]], *rows[1:]], "nothing stands where a number"),
        (lambda rows: [[float("nan"), *rows[0][1:]], *rows[1:]], "nan stands where a number"),
    ],
    ids=["no list", "null", "NaN"],
)
def test_a_prompt_without_scores_is_told_with_the_file(
    tmp_path: Path, spoil: Callable[[list[list[float]]], list[object]], problem: str
) -> None:
    (path,) = write_samples(tmp_path, {0: STEPS[0]})
    table = pq.read_table(path)
    scores = pa.array(spoil(table["scores"].to_pylist()), pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.column_names.index("scores"), "scores", scores), path)
    with pytest.raises(UserError, match=f"{path}: scores: {problem}"):
        EdgeSamples.open([path], "EAP", 7)


def test_text_in_place_of_scores_is_told_with_the_file(tmp_path: Path) -> None:
    (path,) = write_samples(tmp_path, {0: STEPS[0]})
    table = pq.read_table(path)
    texts = pa.array(["?"] * len(table))
    pq.write_table(table.set_column(table.column_names.index("scores"), "scores", texts), path)
    with pytest.raises(UserError, match=f"{path}: scores: the column is not list"):
        EdgeSamples.open([path], "EAP", 7)


def test_of_a_file_of_many_steps_one_is_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is a row group: what the others hold is not in memory."""
    paths = write_samples(tmp_path, STEPS)
    both = tmp_path / "000000-000008.parquet"
    with parquet.writer(both, EDGE_SAMPLES) as file:
        for path in paths:
            file.write_table(pq.read_table(path).cast(EDGE_SAMPLES))
    samples = EdgeSamples.open([both], "EAP", 7)
    rows: list[int] = []
    read_row_groups = parquet.read_row_groups

    def counting(*args: object) -> pa.Table:
        table = read_row_groups(*args)
        rows.append(len(table))
        return table

    monkeypatch.setattr("timelapse.circuits.edge_samples.read_row_groups", counting)
    apart = EdgeSamples.open(paths, "EAP", 7)
    rows.clear()
    assert np.array_equal(samples.pooled(8), apart.pooled(8))
    assert rows == [4 * 5] * 2


def test_a_changed_byte_anywhere_in_a_file_of_many_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "000000.parquet"
    parquet.write(pq.read_table(write_samples(tmp_path, STEPS)[0]).cast(EDGE_SAMPLES), path)
    content = path.read_bytes()
    EdgeSamples.open([path], "EAP", 7)
    for place in (40, len(content) // 2, len(content) - 20):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(UserError, match="not a readable Parquet file"):
            EdgeSamples.open([path], "EAP", 7)
