"""The task files that come with the workflow keep the promises of every dataset."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from timelapse.tasks.expansion import expand
from timelapse.tasks.spec import TaskSpec, load_spec

FILES = sorted((Path(__file__).parents[3] / "tasks").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
IOI_LIKE = ("ioi2", "ioi3", "ambiguous3", "newcomer")
each_task = pytest.mark.parametrize("name", NAMES)


@cache
def spec_of(name: str) -> TaskSpec:
    return load_spec(FILES[NAMES.index(name)])


@cache
def rows_of(name: str) -> list[dict[str, Any]]:
    return [
        {"split": split, **row}
        for split, made in expand(spec_of(name), seed=0)
        for row in made.slice(0, 2000).to_pylist()
    ]


def words_of(prompt: str) -> list[str]:
    return re.findall(r"[,.]|[^\s,.]+", prompt)


def test_the_tasks_of_the_default_study_are_there() -> None:
    sequences = {"numerals", "number_words", "months"}
    assert {*IOI_LIKE, *sequences, "repeated_words"} <= set(NAMES)


@each_task
def test_no_prompt_occurs_twice(name: str) -> None:
    prompts = [row["prompt"] for row in rows_of(name)]
    assert len(set(prompts)) == len(prompts)


@each_task
def test_positions_cut_the_words_of_their_roles_out_of_the_prompt(name: str) -> None:
    spec = spec_of(name)
    known = {mention.label for layout in spec.layouts for mention in layout.mentions}
    for row in rows_of(name):
        prompt, positions = row["prompt"], row["positions"]
        labels = [position["label"] for position in positions]
        cut = {p["label"]: prompt[p["start"] : p["end"]] for p in positions}
        assert len(set(labels)) == len(labels)
        assert set(labels) <= {"end", *known}
        assert labels[-1] == "end"
        assert prompt.endswith(cut["end"]) and " " not in cut["end"]
        assert (len(cut["end"]) == len(prompt)) or prompt[-len(cut["end"]) - 1] == " "
        for label, word in list(cut.items())[:-1]:
            role = label.partition(".")[0]
            assert word in spec.fillers[spec.roles[role]]
            assert word == cut[role]
        if spec.answer in cut:
            assert cut[spec.answer] == row["answer"]


@each_task
def test_corrupted_prompts_differ_only_at_the_mentions_that_are_rewritten(name: str) -> None:
    spec = spec_of(name)
    for row in rows_of(name):
        clean = row["prompt"].split(" ")
        for corruption in spec.corruptions:
            corrupted = row[f"corrupted_{corruption.name}"].split(" ")
            assert len(corrupted) == len(clean)
            changed = {place for place, word in enumerate(clean) if corrupted[place] != word}
            rewritten = {
                row["prompt"][: position["start"]].count(" ")
                for position in row["positions"]
                if position["label"] in corruption.rewrite
            }
            assert changed == rewritten != set()


@each_task
def test_corruptions_change_the_answer_and_foils_are_other_words(name: str) -> None:
    spec = spec_of(name)
    for row in rows_of(name):
        assert row["answer"] not in row["foils"]
        assert len(set(row["foils"])) == len(spec.foils)
        for corruption in spec.corruptions:
            answer = row[f"answer_{corruption.name}"]
            assert (answer is None) == (corruption.answer is None)
            assert answer != row["answer"]


@each_task
def test_templates_are_balanced_in_every_split(name: str) -> None:
    spec = spec_of(name)
    for split in spec.splits:
        counts = Counter(row["template"] for row in rows_of(name) if row["split"] == split)
        assert len(counts) == len(spec.templates)
        assert max(counts.values()) - min(counts.values()) <= 1


@each_task
def test_the_word_list_covers_every_prompt_and_answer(name: str) -> None:
    words = set(spec_of(name).words())
    texts = ("prompt", "answer", *(f"corrupted_{c.name}" for c in spec_of(name).corruptions))
    used = {word for row in rows_of(name) for text in texts for word in words_of(row[text])}
    assert used - words <= {",", "."}
    assert not words & {",", ".", ""}


def test_all_tasks_together_need_a_small_vocabulary() -> None:
    assert 150 <= len({word for name in NAMES for word in spec_of(name).words()}) <= 190


@pytest.mark.parametrize("name", IOI_LIKE)
def test_the_object_identification_tasks_share_their_words_and_stay_short(name: str) -> None:
    assert spec_of(name).fillers == spec_of("ioi2").fillers
    assert max(len(words_of(row["prompt"])) for row in rows_of(name)) < 24


@pytest.mark.parametrize("name", IOI_LIKE)
def test_every_order_of_the_listed_names_is_equally_frequent(name: str) -> None:
    listed = {"ioi2": 2, "ioi3": 3, "ambiguous3": 3, "newcomer": 2}[name]
    orders = Counter(
        (row["template"], *(position["label"] for position in row["positions"][:listed]))
        for row in rows_of(name)
        if row["split"] == "test"
    )
    assert len(orders) == 2 * {2: 2, 3: 6}[listed]
    assert max(orders.values()) - min(orders.values()) <= 1


def test_three_object_prompts_read_as_in_the_study_that_they_come_from() -> None:
    name = r"([A-Z][a-z]+)"
    meeting = rf"(?:After|When) {name}, {name} and {name} (?:went to|were at) the [a-z]+"
    giving = rf"{name} and {name} (?:gave|handed) a [a-z]+ to"
    for row in rows_of("ioi3"):
        ((one, two, three, *subjects),) = re.findall(rf"^{meeting}, {giving}$", row["prompt"])
        assert subjects == row["foils"]
        assert {one, two, three} - set(subjects) == {row["answer"]}


def test_each_corruption_of_three_object_identification_does_what_its_name_says() -> None:
    def subjects(prompt: str) -> tuple[str, str]:
        ((one, two),) = re.findall(r"([A-Z]\w+) and ([A-Z]\w+) (?:gave|handed)", prompt)
        return one, two

    for row in rows_of("ioi3"):
        first, second = row["foils"]
        assert subjects(row["corrupted_first"]) == (row["answer"], second)
        assert subjects(row["corrupted_second"]) == (first, row["answer"])
        assert not {row["answer"], first, second} & {*subjects(row["corrupted_abc"])}
        assert (row["answer_first"], row["answer_second"]) == (first, second)


@pytest.mark.parametrize("name", ["numerals", "number_words", "months"])
def test_sequences_are_consecutive_members_and_their_answer_the_next_one(name: str) -> None:
    (members,) = spec_of(name).fillers.values()
    for row in rows_of(name):
        shown = re.findall(r"\w+", row["prompt"])
        start = members.index(shown[0])
        assert list(members[start : start + len(shown) + 1]) == [*shown, row["answer"]]
        earlier = re.findall(r"\w+", row["corrupted_earlier"])
        assert list(members[start - 1 : start + len(shown)]) == [*earlier, row["answer_earlier"]]
        assert sorted(re.findall(r"\w+", row["corrupted_shuffled"])) == sorted(shown)


def test_repeated_words_continue_their_first_run() -> None:
    for row in rows_of("repeated_words"):
        shown = row["prompt"].split()
        run = next(size for size in (4, 6, 8) if row["template"].startswith(f"run{size}"))
        assert len(set(shown[:run])) == run
        assert shown[run:] == shown[: len(shown) - run]
        assert row["answer"] == shown[len(shown) - run]
