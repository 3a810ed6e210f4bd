"""What a name may be made of: none becomes a path, a wildcard or a command as it was written."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing.junk import NAMES

from timelapse.errors import UserError
from timelapse.study.config_files import ConfigFiles, Layer
from timelapse.study.study import Study, read_study
from timelapse.tasks.spec import load_spec

ROOT = Path(__file__).parents[3]
STUDY: dict[str, Any] = {
    "models": {"base": {"embedded": {"mixture": {"ioi2": 1}}}},
    "runs": {"tuned": {"model": "base", "task": "ioi2", "steps": 20}},
}
TASK = yaml.safe_load((ROOT / "tasks/ioi3.yaml").read_text())
ODD = tuple(name for name in NAMES if not name.isidentifier() or not name.isascii())


def study_with(path: str, value: Any) -> Study:
    return read_study(ConfigFiles.of([Layer("config", changed(STUDY, path, value))]))


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with a value at a path; `NAME` at its end renames the key before it."""
    document = copy.deepcopy(document)
    *folders, last = path.split("/")
    box = document
    for folder in folders[:-1] if last == "NAME" else folders:
        box = box.setdefault(folder, {})
    if last == "NAME":
        box[value] = box.pop(folders[-1])
    else:
        box[last] = value
    return document


@pytest.mark.parametrize("name", ODD, ids=ascii)
@pytest.mark.parametrize(
    "path",
    [
        *("models/base/NAME", "runs/tuned/NAME", "runs/tuned/model", "runs/tuned/task"),
        *("models/base/embedded/mixture/ioi2/NAME", "figures/circuit/corruption"),
    ],
)
def test_no_odd_name_stands_in_a_study(path: str, name: str) -> None:
    with pytest.raises(UserError):
        study_with(path, name)


@pytest.mark.parametrize("name", ODD, ids=ascii)
@pytest.mark.parametrize("path", ["runs/tuned/evaluate", "runs/tuned/controls"])
def test_no_odd_name_stands_in_a_list_of_tasks(path: str, name: str) -> None:
    with pytest.raises(UserError):
        study_with(path, ["ioi2", name])


@pytest.mark.parametrize("name", ODD, ids=ascii)
@pytest.mark.parametrize(
    "path",
    [
        *("fillers/names/NAME", "roles/place/NAME", "templates/gave/NAME", "orders/listed/NAME"),
        "corruptions/abc/NAME",
    ],
)
def test_no_odd_name_stands_in_a_task(path: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "ioi3.yaml"
    file.write_text(yaml.safe_dump(changed(TASK, path, name)))
    with pytest.raises(UserError):
        load_spec(file)


@pytest.mark.parametrize(
    "name",
    ["..", "../x", "/x", "a/b/c", "a/../b", "~/x", "$HOME", "a b", "-x", "a/-x", "", "a\n", "{x}"],
)
def test_a_name_on_the_hub_is_no_path(name: str) -> None:
    with pytest.raises(UserError):
        study_with("models/base", {"hub": name})


@pytest.mark.parametrize("key", ["store", "folder"])
@pytest.mark.parametrize(
    "place", ["~", "~/x", "$HOME/x", "a/${x}", "a\nb", "a\n", "\0", "a\x1b[0m", ""]
)
def test_a_place_on_the_disk_is_taken_as_it_is_written_or_refused(key: str, place: str) -> None:
    with pytest.raises(UserError):
        study_with(
            "store" if key == "store" else "models/base",
            {"folder": place} if key == "folder" else place,
        )


@pytest.mark.parametrize("store", ["/scratch/timelapse", "../shared store", ".cache", "étude/x"])
def test_the_store_may_lie_anywhere_but_in_the_results(store: str) -> None:
    assert study_with("store", store).store == store
    for inside in ("results", "results/store", f"{Path.cwd()}/results/x", "a/../results"):
        with pytest.raises(UserError, match=r"results/"):
            study_with("store", inside)
