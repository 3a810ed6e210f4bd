"""docs/extending.md is followed to the letter in a copy of the project, and what it adds works."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from projects import ROOT, Project

PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(
    r"^```(\w+)(?: (\w+))?(?: (\S+))?(?: after \"([^\"\n]+)\")?\n(.*?)^```$", re.M | re.S
)
MOST_FILES = 4


@dataclass(frozen=True)
class Block:
    """A block of the page: a command, or what becomes of a file.

    Attributes:
        language: `python`, `yaml` or `sh`.
        what: `new`, `append` or `insert` where it is for a file; `config` for the study's.
        file: which file.
        after: the line of the file below which it is inserted.
        text: what is in the block.
    """

    language: str
    what: str
    file: str
    after: str
    text: str

    def apply(self, project: Path) -> None:
        """Do with a copy of the project what the block says."""
        path = project / self.file
        if self.what == "new":
            assert not path.exists(), self.file
            path.write_text(self.text)
        elif self.what == "append":
            path.write_text(path.read_text().rstrip("\n") + "\n" + self.text)
        else:
            assert self.what == "insert", self.what
            lines = path.read_text().splitlines(keepends=True)
            (place,) = [number for number, line in enumerate(lines) if line.strip() == self.after]
            path.write_text("".join([*lines[: place + 1], self.text, *lines[place + 1 :]]))


SECTIONS = {
    section.splitlines()[0].removeprefix("Add a "): [
        Block(*block) for block in BLOCK.findall(section)
    ]
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]
}


def files(section: str) -> list[str]:
    """The files that an extension touches, in the order of the page."""
    return list(dict.fromkeys(block.file for block in SECTIONS[section] if block.file))


@pytest.fixture
def extended(copy: Project, request: pytest.FixtureRequest) -> Project:
    """The finished tiny study, and a project that was extended as a section says."""
    for name in ("tests", "docs", "studies", "benchmarks"):
        shutil.copytree(ROOT / name, copy.folder / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", copy.folder)
    for block in SECTIONS[request.param]:
        if block.file:
            block.apply(copy.folder)
        elif block.what == "config":
            config = yaml.safe_load((copy.folder / "config.yaml").read_text())
            for key, value in yaml.safe_load(block.text).items():
                for inner, settings in value.items():
                    config[key][inner] = config[key].get(inner, {}) | settings
            (copy.folder / "config.yaml").write_text(yaml.safe_dump(config))
    return copy


def test_the_page_adds_one_of_each() -> None:
    assert set(SECTIONS) == {"probe", "circuit method", "film", "model source", "metric"}


@pytest.mark.parametrize("section", SECTIONS)
def test_an_extension_touches_four_files_at_most_one_of_them_a_test(section: str) -> None:
    touched = files(section)
    assert 2 <= len(touched) <= MOST_FILES
    assert sum(Path(file).name.startswith("test_") for file in touched) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extended", "section"),
    [(name, name) for name in SECTIONS],
    indirect=["extended"],
    ids=SECTIONS,
)
def test_the_test_of_an_extension_passes_and_it_runs_in_a_study(
    extended: Project, section: str
) -> None:
    (test,) = [file for file in files(section) if Path(file).name.startswith("test_")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=extended.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (command,) = [block.text for block in SECTIONS[section] if block.language == "sh"]
    command = command.replace("two_to_three", "tiny").replace("000184", "000004")
    program, *targets = shlex.split(command)
    assert program == "snakemake"
    done = extended.snakemake("--cores", "1", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((extended.folder / target).exists() for target in targets)
