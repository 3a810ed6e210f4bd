"""Expansion: prompts are what the spec says, balanced, all different, and reproducible."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from timelapse.errors import UserError
from timelapse.tasks.expansion import Words, distinct, expand
from timelapse.tasks.spec import TaskSpec, dataset_schema, load_spec

WriteTask = Callable[..., Path]
TWO_TEMPLATES = {
    "templates/saw": "At the {place} {subject} and {io} met, {subject} saw",
    "splits": {"train": 24, "validation": 6, "test": 10},
}


def rows(spec: TaskSpec, seed: int = 0, batch: int = 8192) -> dict[str, list[dict[str, Any]]]:
    """Per split its rows."""
    result: dict[str, list[dict[str, Any]]] = {split: [] for split in spec.splits}
    for split, made in expand(spec, seed, batch):
        assert made.num_rows <= batch
        result[split] += made.to_pylist()
    return result


def table(spec: TaskSpec, seed: int = 0, batch: int = 8192) -> pa.Table:
    return pa.Table.from_batches([made for _, made in expand(spec, seed, batch)])


def places(*entries: tuple[str, int, int]) -> list[dict[str, Any]]:
    return [{"label": label, "start": start, "end": end} for label, start, end in entries]


def test_the_splits_of_a_tiny_task_hold_each_prompt_that_can_be_written_once(
    write_task: WriteTask,
) -> None:
    names, rooms = ["Ann", "Bo", "Cy", "Di"], ["bar", "zoo"]
    by_hand = {
        f"{one} met {two} at the {room}, {subject} saw"
        for one, two in permutations(names, 2)
        for room, subject in product(rooms, (one, two))
    }
    spec = load_spec(write_task({"splits": {"train": 36, "validation": 4, "test": 8}}))
    made = table(spec)["prompt"].to_pylist()
    assert len(by_hand) == 48
    assert sorted(made) == sorted(by_hand)


def test_a_task_without_choice_expands_to_the_rows_written_by_hand(write_task: WriteTask) -> None:
    spec = load_spec(
        write_task(
            {
                "fillers": {"letters": ["a", "bb", "ccc", "dddd"], "marks": ["x"]},
                "roles": {
                    "first": "letters",
                    "second": {"follows": "first"},
                    "third": {"follows": "second"},
                    "next": {"follows": "third"},
                    "mark": "marks",
                },
                "orders": ...,
                "templates": {
                    "row": "{mark}: {first}, {second} {third}",
                    "stop": "{first} {second} ({mark}),",
                    "word": "The {second} of {first} is",
                },
                "answer": "next",
                "foils": ["third", "mark"],
                "corruptions": {
                    "swap": {"rewrite": {"first": "second", "second": "first"}, "answer": None},
                    "mark": {"rewrite": {"first": "mark"}, "answer": "third"},
                },
                "splits": {"train": 1, "validation": 1, "test": 1},
            }
        )
    )
    common = {"answer": "dddd", "foils": ["ccc", "x"], "answer_swap": None, "answer_mark": "ccc"}
    made = rows(spec)
    assert [*made["test"], *made["validation"], *made["train"]] == [
        common
        | {
            "example_id": 0,
            "template": "row",
            "prompt": "x: a, bb ccc",
            "positions": places(
                ("mark", 0, 1),
                ("first", 3, 4),
                ("second", 6, 8),
                ("third", 9, 12),
                ("end", 9, 12),
            ),
            "corrupted_swap": "x: bb, a ccc",
            "corrupted_mark": "x: x, bb ccc",
        },
        common
        | {
            "example_id": 1,
            "template": "stop",
            "prompt": "a bb (x),",
            "positions": places(("first", 0, 1), ("second", 2, 4), ("mark", 6, 7), ("end", 5, 9)),
            "corrupted_swap": "bb a (x),",
            "corrupted_mark": "x bb (x),",
        },
        common
        | {
            "example_id": 2,
            "template": "word",
            "prompt": "The bb of a is",
            "positions": places(("second", 4, 6), ("first", 10, 11), ("end", 12, 14)),
            "corrupted_swap": "The a of bb is",
            "corrupted_mark": "The bb of x is",
        },
    ]


def test_offsets_count_characters_not_bytes(write_task: WriteTask) -> None:
    spec = load_spec(
        write_task({"fillers/names": ["Zoë", "Åsa", "José", "Müller"], "fillers/places": ["Café"]})
    )
    for row in table(spec).to_pylist():
        cut = {p["label"]: row["prompt"][p["start"] : p["end"]] for p in row["positions"]}
        assert cut["io"] == row["answer"]
        assert cut["subject"] == cut["subject.2"] == row["foils"][0]
        assert (cut["place"], cut["end"]) == ("Café", "saw")


@pytest.mark.parametrize("batch", [1, 7, 8192])
def test_every_first_k_rows_are_balanced_over_templates_and_orders(
    write_task: WriteTask, batch: int
) -> None:
    spec = load_spec(write_task(TWO_TEMPLATES))
    for split, made in rows(spec, batch=batch).items():
        assert len(made) == spec.splits[split]
        for k in range(1, len(made) + 1):
            templates = Counter(row["template"] for row in made[:k])
            orders = Counter(
                row["positions"][0]["label"] for row in made[:k] if row["template"] == "met"
            )
            assert abs(templates["met"] - templates["saw"]) <= 1
            assert abs(orders["io"] - orders["subject"]) <= 1


def test_no_prompt_and_no_example_id_occurs_twice(write_task: WriteTask) -> None:
    made = table(load_spec(write_task(TWO_TEMPLATES)), batch=5)
    assert len(set(made["prompt"].to_pylist())) == made.num_rows == 40
    assert sorted(made["example_id"].to_pylist()) == list(range(40))


def test_prompts_that_two_role_assignments_share_are_made_once(write_task: WriteTask) -> None:
    spec = load_spec(
        write_task(
            {
                "templates/met": "{listed.1} met {listed.2} at the {place}, they saw",
                "corruptions": {"abc": {"rewrite": {"subject": "other"}, "answer": None}},
                "splits": {"train": 20, "validation": 2, "test": 2},
            }
        )
    )
    made = table(spec)["prompt"].to_pylist()
    assert len(set(made)) == len(made) == 24


def test_words_that_only_corruptions_use_do_not_make_a_prompt_new(write_task: WriteTask) -> None:
    spec = load_spec(write_task({"splits": {"train": 44, "validation": 2, "test": 2}}))
    assert len({row["prompt"] for row in table(spec).to_pylist()}) == 48


def test_prompts_that_run_out_are_a_user_error(write_task: WriteTask) -> None:
    path = write_task(
        {
            "templates/met": "{listed.1} met {listed.2} at the {place}, they saw",
            "corruptions": {"abc": {"rewrite": {"subject": "other"}, "answer": None}},
            "splits": {"train": 30, "validation": 2, "test": 2},
        }
    )
    spec = load_spec(path)
    with pytest.raises(UserError, match="'met' has too few different prompts") as caught:
        table(spec)
    assert (caught.value.source, caught.value.key) == (str(path), "splits.train")


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(write_task: WriteTask) -> None:
    spec = load_spec(write_task(TWO_TEMPLATES))
    assert table(spec, seed=3).equals(table(spec, seed=3))
    assert table(spec, seed=3)["prompt"] != table(spec, seed=4)["prompt"]


def test_tasks_of_the_same_content_but_another_name_draw_other_prompts(
    write_task: WriteTask,
) -> None:
    one, other = (load_spec(write_task(TWO_TEMPLATES, name=name)) for name in ("one", "other"))
    assert table(one)["prompt"] != table(other)["prompt"]


def test_the_test_split_does_not_depend_on_the_size_of_the_others(write_task: WriteTask) -> None:
    spec = load_spec(write_task(TWO_TEMPLATES))
    small = replace(spec, splits={"train": 3, "validation": 1, "test": 10})
    assert rows(spec)["test"] == rows(small)["test"]


def test_batches_have_the_dataset_schema(write_task: WriteTask) -> None:
    spec = load_spec(write_task())
    assert table(spec).schema.equals(dataset_schema(["flip", "abc"]))


def test_a_chain_takes_consecutive_words_and_reaches_every_start(write_task: WriteTask) -> None:
    spec = load_spec(
        write_task(
            {
                "fillers/places": ["p1", "p2", "p3", "p4", "p5", "p6"],
                "roles/later": {"follows": "place"},
                "roles/alone": "places",
                "foils": ["later", "alone"],
            }
        )
    )
    words = Words(spec)
    drawn = words.draw(np.random.default_rng(0), 4000)
    place, later, alone = (drawn[:, words.column[role]] for role in ("place", "later", "alone"))
    assert (later == place + 1).all()
    assert ((alone != place) & (alone != later)).all()
    pairs = Counter(zip(place.tolist(), alone.tolist(), strict=True))
    assert len(pairs) == 5 * 4
    assert min(pairs.values()) > 4000 / 20 * 0.7


def test_two_chains_in_a_tight_list_never_overlap(write_task: WriteTask) -> None:
    spec = load_spec(
        write_task(
            {
                "fillers/places": ["p1", "p2", "p3", "p4", "p5"],
                "roles/place_b": {"follows": "place"},
                "roles/far": "places",
                "roles/far_b": {"follows": "far"},
                "foils": ["place_b", "far_b"],
            }
        )
    )
    words = Words(spec)
    drawn = words.draw(np.random.default_rng(0), 300)
    starts = drawn[:, [words.column["place"], words.column["far"]]] - 4
    assert {tuple(pair) for pair in starts.tolist()} == {
        *permutations((0, 2)),
        *permutations((0, 3)),
        *permutations((1, 3)),
    }


def test_distinct_numbers_are_distinct_and_every_sequence_is_equally_likely() -> None:
    drawn = distinct(np.random.default_rng(0), rows=24_000, count=3, size=4)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(permutations(range(4), 3))
    assert all(abs(count - 1000) < 150 for count in counts.values())
