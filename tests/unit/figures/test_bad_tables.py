"""Tables that cannot be drawn: the error names the file and what to do."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timelapse.errors import UserError
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.films.film import FilmRenderer
from timelapse.figures.films.registry import FILMS, film_named
from timelapse.figures.overviews.overview import draw_overview
from timelapse.figures.overviews.registry import OVERVIEWS

Tables = dict[str, list[Path]]
Spoil = Callable[[Path], object]


def rewrite(change: Callable[[pa.Table], pa.Table]) -> Spoil:
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def open_film(name: str, paths: Tables, **options: object) -> FilmRenderer:
    given = InputTables([*paths[FILMS[name].table], *paths["win_rate"]])
    return FilmRenderer(FILMS[name], given, "run", "ioi3", options)


def with_text(table: pa.Table, column: str) -> pa.Table:
    texts = pa.array(["?"] * len(table))
    return table.set_column(table.column_names.index(column), column, texts)


def a_number(table: pa.Table) -> str:
    return [field.name for field in table.schema if pa.types.is_floating(field.type)][-1]


SPOILED: dict[str, tuple[Spoil, str]] = {
    "missing": (Path.unlink, "does not exist"),
    "corrupt": (lambda path: path.write_bytes(path.read_bytes()[:-40]), "not a readable Parquet"),
    "no bytes": (lambda path: path.write_bytes(b""), "not a readable Parquet"),
    "no rows": (rewrite(lambda table: table.slice(0, 0)), "has no rows"),
    "no column": (
        rewrite(lambda table: table.drop_columns([a_number(table)])),
        "lacks this column",
    ),
    "wrong type": (rewrite(lambda table: with_text(table, a_number(table))), "is not float"),
}


@pytest.mark.parametrize("film", sorted(FILMS))
@pytest.mark.parametrize("fault", SPOILED)
def test_a_probe_table_that_cannot_be_used_is_named(film: str, fault: str, own: Tables) -> None:
    spoil, message = SPOILED[fault]
    path = own[FILMS[film].table][1]
    spoil(path)
    with pytest.raises(UserError, match=message) as caught:
        open_film(film, own)
    assert caught.value.source == str(path)


def test_a_missing_column_is_named(own: Tables) -> None:
    rewrite(lambda table: table.drop_columns(["std_error"]))(own["logit_diff"][0])
    with pytest.raises(UserError) as caught:
        open_film("stream", own)
    assert caught.value.key == "std_error"


def test_a_win_rate_table_that_cannot_be_used_is_named(own: Tables) -> None:
    path = own["win_rate"][2]
    rewrite(lambda table: table.drop_columns(["ci_low"]))(path)
    for draw in (
        lambda: open_film("head", own),
        lambda: draw_overview(OVERVIEWS["win_rate"], InputTables(own["win_rate"]), "run"),
    ):
        with pytest.raises(UserError, match="lacks this column") as caught:
            draw()
        assert (caught.value.source, caught.value.key) == (str(path), "ci_low")


def test_a_step_without_a_win_rate_is_refused(own: Tables) -> None:
    own["win_rate"].pop()
    with pytest.raises(UserError, match="no win rate of step 184"):
        open_film("stream", own)


def test_a_step_that_was_not_measured_is_refused(own: Tables) -> None:
    film = open_film("stream", own)
    with pytest.raises(UserError, match="no table of step 8"):
        film.draw(8)
    with pytest.raises(UserError, match="no table of step 8"):
        InputTables(own["logit_diff"], [8]).table("ioi3", "logit_diff")


def test_a_table_without_the_rows_that_a_figure_draws_is_refused(own: Tables) -> None:
    for path in own["logit_diff"]:
        rewrite(lambda table: table.filter(pa.compute.equal(table["decomposition"], "head")))(path)
    with pytest.raises(UserError, match="no row has decomposition = stream"):
        open_film("stream", own)


def test_two_rows_for_one_place_are_refused(own: Tables) -> None:
    own["logit_diff"].append(own["logit_diff"][0])
    with pytest.raises(UserError, match="two rows stand for step 0, component input"):
        open_film("stream", own)


def test_an_unknown_figure_or_option_is_answered_with_the_known_ones(own: Tables) -> None:
    with pytest.raises(UserError, match="circuit"):
        film_named("patch")
    with pytest.raises(UserError, match="corruption, edges, method"):
        open_film("circuit", own, size=3)
    with pytest.raises(UserError, match="nothing to choose from"):
        open_film("stream", own, edges=3)


def test_a_method_that_the_table_lacks_is_answered_with_those_it_has(own: Tables) -> None:
    with pytest.raises(UserError, match=r"no edges of method other\. Choose among eap"):
        open_film("circuit", own, method="other")


def test_a_table_of_whole_nodes_alone_is_no_circuit(own: Tables) -> None:
    for path in own["edges"]:
        rewrite(lambda t: t.set_column(4, "target", pa.nulls(len(t), pa.string())))(path)
    with pytest.raises(UserError, match="the table scores no edge"):
        open_film("circuit", own)


def test_a_circuit_needs_edges(own: Tables) -> None:
    with pytest.raises(UserError, match=r"figures\.circuit: edges"):
        open_film("circuit", own, edges=0)


def test_a_name_that_is_no_node_is_refused(own: Tables) -> None:
    def rename(table: pa.Table) -> pa.Table:
        names = [f"L{name}" for name in table["source"].to_pylist()]
        return table.set_column(table.column_names.index("source"), "source", pa.array(names))

    rewrite(rename)(own["edges"][0])
    with pytest.raises(UserError, match="not the name of a node"):
        open_film("circuit", own)
