"""The conda environments, the lock and the project file agree on every version."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCK = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))
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


def test_the_lock_names_no_place_and_no_build() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^[a-z0-9-]+==[^#\s]*\+", text, re.M)
