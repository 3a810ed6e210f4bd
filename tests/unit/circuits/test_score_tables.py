"""Tables of scored edges come back as arrays in the order of the graph's edges."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from circuits.edge_tables import edge_rows, node_rows, write_edges

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.score_tables import ScoredEdges
from timelapse.errors import UserError

SHAPE = GraphShape(n_layers=2, n_heads=4, n_kv_heads=2)
N = len(SHAPE.edges)
RANDOM = np.random.default_rng(0)
STEPS = {
    step: {
        (corruption, method): RANDOM.standard_normal(N).astype(np.float32)
        for corruption in ("second", "first")
        for method in ("EAP-IG", "EAP")
    }
    for step in (8, 0)
}


def test_what_was_written_is_read_whatever_the_order_of_rows_and_files(tmp_path: Path) -> None:
    paths = write_edges(tmp_path, SHAPE, STEPS)
    for path in paths:
        table = pq.read_table(path)
        pq.write_table(table.take(RANDOM.permutation(len(table))), path)
    scored = ScoredEdges.read(paths)
    assert scored.shape == SHAPE
    assert scored.steps == (0, 8)
    assert set(scored.corruptions) == {"first", "second"}
    assert set(scored.methods) == {"EAP-IG", "EAP"}
    for step, scores in STEPS.items():
        for (corruption, method), values in scores.items():
            assert np.array_equal(scored.scores(step, corruption, method), values)
            errors = scored.std_errors(step, corruption, method)
            assert np.allclose(errors, np.abs(values) / 10)


def test_several_steps_may_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "edges.parquet"
    pq.write_table(pa.concat_tables(edge_rows(SHAPE, *step) for step in STEPS.items()), path)
    scored = ScoredEdges.read([path])
    assert scored.steps == (0, 8)
    assert np.array_equal(scored.scores(8, "first", "EAP"), STEPS[8]["first", "EAP"])


def test_pooled_scores_are_the_mean_over_the_corruptions(tmp_path: Path) -> None:
    scored = ScoredEdges.read(write_edges(tmp_path, SHAPE, STEPS))
    expected = (STEPS[8]["first", "EAP"] + STEPS[8]["second", "EAP"]) / 2
    assert np.allclose(scored.pooled(8, "EAP"), expected)
    assert not np.allclose(expected, scored.scores(8, "first", "EAP"))


def test_rows_of_whole_nodes_are_no_edges(tmp_path: Path) -> None:
    path = tmp_path / "step-000000.parquet"
    rows = [node_rows(SHAPE, 0, "first"), edge_rows(SHAPE, 0, STEPS[0])]
    pq.write_table(pa.concat_tables(rows), path)
    scored = ScoredEdges.read([path])
    assert scored.shape == SHAPE and "node" not in scored.methods


def test_a_table_without_any_edge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step-000000.parquet"
    pq.write_table(node_rows(SHAPE, 0, "first"), path)
    with pytest.raises(UserError, match=f"{path}: target: .*scores no edge"):
        ScoredEdges.read([path])


@pytest.mark.parametrize("parallel", [True, False])
def test_edges_tell_whether_mlps_read_the_heads_beside_them(tmp_path: Path, parallel: bool) -> None:
    shape = GraphShape(2, 3, 3, parallel)
    values = RANDOM.standard_normal(len(shape.edges)).astype(np.float32)
    scored = ScoredEdges.read(write_edges(tmp_path, shape, {0: {("first", "EAP"): values}}))
    assert scored.shape == shape
    assert np.array_equal(scored.scores(0, "first", "EAP"), values)


def test_a_missing_edge_is_told_with_its_file(tmp_path: Path) -> None:
    paths = write_edges(tmp_path, SHAPE, STEPS)
    table = pq.read_table(paths[1])
    pq.write_table(table.slice(0, len(table) - 1), paths[1])
    with pytest.raises(UserError, match=f"{paths[1]}: 0 rows for the edge m1 -> logits"):
        ScoredEdges.read(paths)


def test_an_edge_that_stands_twice_is_told_with_its_file(tmp_path: Path) -> None:
    (path,) = write_edges(tmp_path, SHAPE, {0: STEPS[0]})
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
    with pytest.raises(UserError, match=f"{path}: 2 rows for the edge input -> a0.h0<q>"):
        ScoredEdges.read([path])


def test_another_graph_than_the_first_is_told_with_its_file(tmp_path: Path) -> None:
    other = GraphShape(3, 4, 2)
    first = write_edges(tmp_path, SHAPE, {0: STEPS[0]})
    second = write_edges(tmp_path, other, {8: {("first", "EAP"): np.ones(len(other.edges))}})
    with pytest.raises(UserError, match=f"{second[0]}.* is not an edge of"):
        ScoredEdges.read([*first, *second])


def test_a_missing_step_names_the_file_that_it_should_be_in(tmp_path: Path) -> None:
    scored = ScoredEdges.read(write_edges(tmp_path, SHAPE, STEPS))
    with pytest.raises(UserError, match=r"edges: .*step 16 .*There are 0, 8"):
        scored.scores(16, "first", "EAP")


@pytest.mark.parametrize(("corruption", "method"), [("third", "EAP"), ("first", "exact")])
def test_a_missing_method_or_corruption_names_the_file(
    tmp_path: Path, corruption: str, method: str
) -> None:
    scored = ScoredEdges.read(write_edges(tmp_path, SHAPE, STEPS))
    with pytest.raises(UserError, match=r"000008.parquet: .*EAP under first"):
        scored.scores(8, corruption, method)


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"step-000000.parquet: the table does not exist"):
        ScoredEdges.read([tmp_path / "step-000000.parquet"])


def test_a_file_that_lacks_a_column_or_rows_or_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "step-000000.parquet"
    pq.write_table(edge_rows(SHAPE, 0, STEPS[0]).drop_columns(["score"]), path)
    with pytest.raises(UserError, match=f"{path}: score: the table lacks this column"):
        ScoredEdges.read([path])
    pq.write_table(edge_rows(SHAPE, 0, STEPS[0]).slice(0, 0), path)
    with pytest.raises(UserError, match=f"{path}: the table has no rows"):
        ScoredEdges.read([path])
    path.write_bytes(b"no table")
    with pytest.raises(UserError, match=f"{path}: not a readable Parquet file"):
        ScoredEdges.read([path])


def replaced(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(column), column, values)


def test_text_in_place_of_scores_is_told_with_the_file(tmp_path: Path) -> None:
    (path,) = write_edges(tmp_path, SHAPE, {0: STEPS[0]})
    table = pq.read_table(path)
    pq.write_table(replaced(table, "score", pa.array(["?"] * len(table))), path)
    with pytest.raises(UserError, match=f"{path}: score: the column is not float"):
        ScoredEdges.read([path])


@pytest.mark.parametrize(
    ("gap", "shown"), [(None, "nothing"), (np.nan, "nan"), (-np.inf, "-inf")], ids=str
)
def test_a_score_that_is_none_is_told_with_the_file(
    tmp_path: Path, gap: float | None, shown: str
) -> None:
    (path,) = write_edges(tmp_path, SHAPE, {0: STEPS[0]})
    table = pq.read_table(path)
    scores = table["score"].to_pylist()
    scores[5] = gap
    pq.write_table(replaced(table, "score", pa.array(scores, pa.float32())), path)
    with pytest.raises(UserError, match=f"{path}: score: {shown} stands where a number"):
        ScoredEdges.read([path])


def test_a_standard_error_may_be_missing_as_that_of_one_prompt_is(tmp_path: Path) -> None:
    (path,) = write_edges(tmp_path, SHAPE, {0: STEPS[0]})
    table = pq.read_table(path)
    pq.write_table(replaced(table, "std_error", pa.nulls(len(table), pa.float32())), path)
    scored = ScoredEdges.read([path])
    assert np.array_equal(scored.scores(0, "first", "EAP"), STEPS[0]["first", "EAP"])
    assert np.isnan(scored.std_errors(0, "first", "EAP")).all()
