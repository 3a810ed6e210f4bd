"""How a run is cut into parts, what a study asks for, and which files are no longer part of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from timelapse import paths
from timelapse.errors import UserError
from timelapse.probes.registry import PROBES
from timelapse.steps import parts
from timelapse.study.config_files import ConfigFiles, Layer
from timelapse.study.runs import Run
from timelapse.study.study import Study, read_study
from timelapse.study.targets import remove_stale_parts, results, stale_parts

STUDY: dict[str, Any] = {
    "models": {"base": {"embedded": {"mixture": {"ioi2": 1, "ioi3": 1, "months": 1}}}},
    "runs": {
        "tuned": {
            "model": "base",
            "task": "ioi3",
            "evaluate": ["ioi2", "ioi3"],
            "controls": ["months"],
            "steps": 32,
        }
    },
    "comparison": {"checkpoints": 3},
}


def study(granularity: str | int = "run", **of_run: object) -> Study:
    config = yaml.safe_load(yaml.safe_dump(STUDY))
    config["runs"]["tuned"] |= of_run
    layer = Layer("config", config | {"granularity": granularity})
    return read_study(ConfigFiles.of([layer]))


def tuned(granularity: str | int = "run", **of_run: object) -> Run:
    return study(granularity, **of_run).runs["tuned"]


def names(files: list[str]) -> list[str]:
    return [Path(file).stem for file in files]


@pytest.mark.parametrize("granularity", ["run", "checkpoint", 1, 2, 3, 100])
def test_parts_hold_every_step_once_and_in_order(granularity) -> None:
    steps = tuple(range(0, 80, 8))
    cut = parts(steps, granularity)
    assert tuple(step for part in cut for step in part.steps) == steps
    assert len({part.name for part in cut}) == len(cut)


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("run", ["000000-000032"]),
        (2, ["000000-000008", "000016-000024", "000032"]),
        ("checkpoint", ["000000", "000008", "000016", "000024", "000032"]),
    ],
)
def test_a_table_has_a_file_for_each_part(granularity, expected: list[str]) -> None:
    run = tuned(granularity)
    assert names(run.tables("patching", "ioi3")) == expected
    assert paths.parse(run.tables("patching", "ioi3")[0]).table == "patching"


def test_circuits_run_elsewhere_have_parts_of_the_compared_steps() -> None:
    assert tuned().compared == (0, 16, 32)
    assert names(tuned(2).tables("transfer", "ioi3")) == ["000000-000016", "000032"]


def test_a_control_is_measured_at_the_first_step_alone() -> None:
    assert names(tuned(2).tables("edges", "months")) == ["000000"]


def test_the_files_that_hold_some_steps_come_once() -> None:
    assert names(tuned(2).tables("edges", "ioi3", [8, 0, 32])) == ["000000-000008", "000032"]
    assert names(tuned().tables("edges", "ioi3", [32, 0])) == ["000000-000032"]


def test_a_part_that_the_study_lacks_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(UserError, match=r"Ask for 000000-000032, or set granularity") as caught:
        tuned().part("edges", "ioi3", "000008")
    assert caught.value.source == "results/runs/tuned/ioi3/edges/000008.parquet"
    with pytest.raises(UserError, match=r"Ask for 000000, 000008 \.\.\. 000032"):
        tuned("checkpoint").part("edges", "ioi3", "000000-000032")


def test_a_study_asks_for_few_files() -> None:
    asked = results(study(), {"head": "logit_diff"}, {"tuned": []})
    assert len(asked) == len({*asked})
    tables = [file for file in asked if (found := paths.parse(file)) and found.kind == "table"]
    assert len(tables) == 2 * len(PROBES)
    assert "results/runs/tuned/ioi2/figures/head.gif" in asked
    assert "results/runs/tuned/ioi3/circuits" in asked


def test_without_circuits_nothing_of_them_is_asked_for() -> None:
    asked = results(study(circuits=False), {"circuit": "edges"}, {"tuned": []})
    assert not [file for file in asked if "circuit" in file or "/edges/" in file]


def test_a_metric_that_is_not_linear_is_not_taken_apart() -> None:
    films = {"head": "logit_diff", "pattern": "attention"}
    asked = results(study(), films, {"tuned": []}, not_linear=["ioi2"])
    everything = results(study(), films, {"tuned": []})
    folder = "results/runs/tuned/ioi2"
    (table,) = study().runs["tuned"].tables("logit_diff", "ioi2")
    assert {*everything} - {*asked} == {table, f"{folder}/figures/head.gif"}


def placed(run: Run, table: str = "edges", task: str = "ioi3") -> list[Path]:
    """A table's files, made."""
    files = [Path(file) for file in run.tables(table, task)]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return files


def test_parts_of_another_granularity_go_when_those_of_the_study_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    former, now = tuned("checkpoint"), tuned(2)
    old = placed(former)
    new = placed(now)
    own = old[0].with_name("my own.parquet")
    own.touch()
    gone = sorted({*old} - {*new})
    assert stale_parts([now]) == gone
    reported: list[str] = []
    remove_stale_parts([now], reported.append)
    assert {*new, own} == {*own.parent.iterdir()}
    assert reported[0] == f"Removed {gone[0]}: the study now has other parts"
    assert stale_parts([now]) == []


def test_they_stay_as_long_as_a_part_of_the_study_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    placed(tuned("run"))
    last = placed(tuned(2))[-1]
    last.unlink()
    assert stale_parts([tuned(2)]) == []


def test_parts_of_checkpoints_that_are_no_longer_kept_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    placed(tuned("checkpoint"))
    fewer = tuned("checkpoint", checkpoints={"every": 16})
    assert [path.stem for path in stale_parts([fewer])] == ["000008", "000024"]


def test_tables_of_other_runs_are_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    placed(tuned("run"))
    other = Path("results/runs/another/ioi3/edges/000000.parquet")
    other.parent.mkdir(parents=True)
    other.touch()
    assert stale_parts([tuned("run")]) == []
