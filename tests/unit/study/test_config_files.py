"""Config files: each alone, laid over the one that it extends, and `--config` over all."""

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from timelapse.errors import UserError
from timelapse.study.config_files import ConfigFiles, located
from timelapse.study.study import checked, read_study

ROOT = Path(__file__).parents[3]
BASE: dict[str, Any] = {
    "seed": 4,
    "models": {"base": {"embedded": {"mixture": {"ioi2": 1, "ioi3": 1}}}, "other": {"hub": "gpt2"}},
    "runs": {
        "first": {"model": "base", "task": "ioi3", "steps": 20},
        "second": {"model": "other", "task": "ioi3", "steps": 20},
    },
}


@pytest.fixture
def write(tmp_path: Path):
    def write(name: str, document: dict[str, Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def test_a_study_stands_alone_unless_it_extends_another(write) -> None:
    own = {"models": BASE["models"], "runs": {"mine": BASE["runs"]["first"]}}
    study = read_study(ConfigFiles.read([write("study.yaml", own)]))
    assert (list(study.runs), study.seed) == (["mine"], 0)


def test_a_study_is_laid_over_the_one_that_it_extends(write) -> None:
    write("config.yaml", BASE)
    changes = {"extends": "../config.yaml", "runs": {"first": {"steps": 8}}, "seed": 5}
    study = read_study(ConfigFiles.read([write("studies/mine.yaml", changes)]))
    assert study.seed == 5
    assert list(study.runs) == ["first", "second"]
    assert (study.runs["first"].steps, study.runs["second"].steps[-1]) == ((0, 8), 20)


def test_null_removes_a_run_of_the_extended_study(write) -> None:
    write("config.yaml", BASE)
    changes = {"extends": "config.yaml", "runs": {"second": None}, "models": {"other": None}}
    study = read_study(ConfigFiles.read([write("mine.yaml", changes)]))
    assert (list(study.runs), list(study.models)) == (["first"], ["base"])


def test_a_model_gets_another_source(write, tmp_path: Path) -> None:
    write("config.yaml", BASE)
    write("model/config.json", {})
    source = {"embedded": None, "folder": str(tmp_path / "model")}
    changes = {"extends": "config.yaml", "models": {"base": source}}
    study = read_study(ConfigFiles.read([write("mine.yaml", changes)]))
    assert study.models["base"].settings == str(tmp_path / "model")
    del source["embedded"]
    with pytest.raises(UserError, match=r"folder and embedded are given together, a model has one"):
        read_study(ConfigFiles.read([write("mine.yaml", changes)]))


def test_studies_may_extend_each_other_in_a_chain(write) -> None:
    write("c.yaml", BASE)
    write("b.yaml", {"extends": "c.yaml", "runs": {"second": None}})
    path = write("a.yaml", {"extends": "b.yaml", "seed": 9})
    study = read_study(ConfigFiles.read([path]))
    assert (study.seed, list(study.runs)) == (9, ["first"])
    assert [Path(name).name for name in study.source.split(", ")] == ["c.yaml", "b.yaml", "a.yaml"]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_of_studies_is_refused(write, length: int) -> None:
    paths = [
        write(f"{place}.yaml", {"extends": f"{(place + 1) % length}.yaml"})
        for place in range(length)
    ]
    with pytest.raises(UserError, match=r"the file extends itself: .*0\.yaml") as caught:
        ConfigFiles.read(paths[:1])
    assert (caught.value.source, caught.value.key) == (str(paths[-1]), "extends")


@pytest.mark.parametrize(
    ("extended", "problem"),
    [
        ("absent.yaml", "there is no file"),
        (".", "there is no file"),
        ("", "the path of a config is wanted"),
        (3, "the path of a config is wanted, a whole number (3) was found"),
        (None, "the path of a config is wanted, the value null was found"),
        (["config.yaml"], "the path of a config is wanted, a list was found"),
        ("a\0b", "the path of a config is wanted"),
        ("x" * 5000, "there is no file"),
    ],
)
def test_what_cannot_be_extended_is_named(write, extended: Any, problem: str) -> None:
    path = write("mine.yaml", {"extends": extended})
    with pytest.raises(UserError) as caught:
        ConfigFiles.read([path])
    assert (caught.value.source, caught.value.key) == (str(path), "extends")
    assert problem in caught.value.problem


def test_a_removal_of_nothing_is_a_mistake(write) -> None:
    write("config.yaml", BASE)
    path = write("mine.yaml", {"extends": "config.yaml", "runs": {"secnd": None}})
    with pytest.raises(UserError, match="Did you mean 'second'") as caught:
        ConfigFiles.read([path])
    assert (caught.value.source, caught.value.key) == (str(path), "runs.secnd")


def test_a_mistake_is_found_in_the_file_that_makes_it(write) -> None:
    broken = {**BASE, "runs": {**BASE["runs"], "first": {"model": "bass", "task": "ioi3"}}}
    base = write("config.yaml", broken)
    path = write("mine.yaml", {"extends": "config.yaml", "runs": {"second": {"steps": "many"}}})
    with pytest.raises(UserError) as caught:
        read_study(ConfigFiles.read([path], {"seed": "x"}))
    assert [(error.source, error.key) for error in caught.value.each] == [
        ("--config", "seed"),
        (str(base), "runs.first.steps"),
        (str(path), "runs.second.steps"),
    ]


def test_a_template_is_refused_as_an_extended_file_too(write) -> None:
    base = write("config.yaml", {"__use_yte__": True, **BASE})
    path = write("mine.yaml", {"extends": "config.yaml"})
    with pytest.raises(UserError, match="a config is plain data") as caught:
        ConfigFiles.read([path])
    assert caught.value.source == str(base)


def test_files_and_values_of_the_command_line_go_before_those_before_them(write) -> None:
    files = [write("a.yaml", BASE), write("b.yaml", {"seed": 6, "runs": {"second": None}})]
    study = read_study(ConfigFiles.read(files, {"runs": {"first": {"steps": "1e1"}}}))
    assert (study.seed, list(study.runs), study.runs["first"].steps) == (6, ["first"], (0, 8, 10))


def test_what_two_files_extend_lies_below_both(write) -> None:
    write("config.yaml", BASE)
    files = [write(f"{seed}.yaml", {"extends": "config.yaml", "seed": seed}) for seed in (8, 9)]
    write("8.yaml", {"extends": "config.yaml", "seed": 8, "granularity": "checkpoint"})
    study = read_study(ConfigFiles.read(files))
    assert (study.seed, study.granularity) == (9, "checkpoint")


def test_a_command_line_extends_nothing(write) -> None:
    with pytest.raises(UserError, match="--config: extends: a file extends another"):
        ConfigFiles.read([write("config.yaml", BASE)], {"extends": "config.yaml"})


def test_a_study_of_ones_own_may_lie_anywhere_with_tasks_of_its_own(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = yaml.safe_load(located("tasks/ioi2.yaml").read_text())
    write("prompts/mine.yaml", spec | {"description": "mine"})
    mixture = {"mine": 1, "ioi3": 1}
    run = {"model": "base", "task": "mine", "steps": 8, "controls": ["ioi3"]}
    own = {"tasks": "prompts", "models": {"base": {"embedded": {"mixture": mixture}}}}
    path = write("study.yaml", own | {"runs": {"tuned": run}})
    monkeypatch.chdir(tmp_path)
    study, specs = checked([path])
    assert study.tasks == ("ioi3", "mine")
    assert specs["mine"].source == Path("prompts/mine.yaml")
    assert specs["ioi3"].source.is_file()
    write("prompts/ioi3.yaml", spec | {"description": "not the shipped one"})
    assert checked([path])[1]["ioi3"].description == "not the shipped one"


def test_a_metric_that_there_is_not_is_named_with_its_task(write, tmp_path: Path) -> None:
    spec = yaml.safe_load(located("tasks/ioi3.yaml").read_text())
    task = write("prompts/ioi3.yaml", spec | {"metric": "logit_dif"})
    path = write("study.yaml", BASE | {"tasks": str(tmp_path / "prompts")})
    with pytest.raises(UserError, match="there is no metric 'logit_dif'") as caught:
        checked([path])
    assert (caught.value.source, caught.value.key) == (str(task), "metric")
    write("prompts/ioi3.yaml", spec | {"metric": "probability_diff"})
    assert checked([path])[1]["ioi3"].metric == "probability_diff"


def test_the_studies_of_the_documentation_are_valid(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs/config.md").read_text()
    own, extending = (
        textwrap.dedent(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    )
    write("prompts/mine.yaml", yaml.safe_load((ROOT / "tasks/ioi3.yaml").read_text()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text(own)
    assert checked(["own.yaml"])[0].tasks == ("ioi2", "mine")
    (tmp_path / "extending.yaml").write_text(extending.replace("..", str(ROOT)))
    assert list(checked(["extending.yaml"])[0].runs) == ["mine"]


def test_a_folder_of_tasks_that_is_not_there_is_named(write) -> None:
    with pytest.raises(UserError, match="there is no folder no/such") as caught:
        read_study(ConfigFiles.read([write("mine.yaml", BASE | {"tasks": "no/such"})]))
    assert caught.value.key == "tasks"


def test_all_that_does_not_fit_together_is_told_at_once(write) -> None:
    runs = {
        "first": {"model": "bass", "task": "ioi9", "steps": 20, "decay": 30},
        "second": {"model": "base", "task": "ioi3", "steps": 20, "checkpoints": {"steps": [21]}},
    }
    with pytest.raises(UserError) as caught:
        read_study(ConfigFiles.read([write("mine.yaml", BASE | {"runs": runs})]))
    assert [error.key for error in caught.value.each] == [
        *("runs.first.model", "runs.first.decay"),
        *("runs.second.checkpoints.steps", "runs.first.task"),
    ]
