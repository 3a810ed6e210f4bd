"""The conda environments, the lock and the project file agree on every version."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "requirements.lock").read_text()
LOCK = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", TEXT, re.M))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("name", ["torch", "figures"])
def test_an_environment_pins_what_the_lock_pins(name: str) -> None:
    document = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    (packages,) = [entry["pip"] for entry in document["dependencies"] if isinstance(entry, dict)]
    pins = dict(package.split("==") for package in packages)
    assert pins
    assert {name: LOCK[name] for name in pins} == pins


def test_figures_need_no_torch() -> None:
    assert "torch" not in (ROOT / "envs" / "figures.yaml").read_text().split("dependencies")[1]


def test_everything_that_the_project_asks_for_is_locked() -> None:
    extras = chain.from_iterable(PROJECT["optional-dependencies"].values())
    for requirement in [*PROJECT["dependencies"], *extras]:
        name, _, version = requirement.partition("==")
        assert name in LOCK
        assert version in ("", LOCK[name])


def test_the_lock_holds_nothing_that_the_project_does_not_ask_for() -> None:
    """Every line says which packages want it; all lead back to the project file."""
    needs: dict[str, set[str]] = {}
    for block in re.split(r"^(?=[a-z0-9-]+==)", TEXT, flags=re.M):
        if named := re.match(r"[a-z0-9-]+", block):
            for wanted_by in re.findall(r"^    #(?: via|  ) (\S+)", block, re.M):
                needs.setdefault(wanted_by, set()).add(named[0])
    found: set[str] = set()
    further = needs["circuit-timelapse"]
    while further:
        found |= further
        further = set().union(*(needs.get(name, set()) for name in further)) - found
    assert found == LOCK.keys()


def test_the_lock_names_no_place_and_no_build() -> None:
    assert "://" not in TEXT
    assert not re.search(r"^[a-z0-9-]+==[^#\s]*\+", TEXT, re.M)
