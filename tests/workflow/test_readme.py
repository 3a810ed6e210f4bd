"""Every command of the documentation works, and every file that it names is there."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from projects import ROOT, Project, new_project

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.partition(" #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.strip() and not line.startswith("#")
]
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))

MADE = {
    "run": "snakemake --cores",
    "install": "pip install",
    "test": "-m pytest",
    "test-all": "slow or faults or fuzz",
    "test-slurm": "-m pytest -m slurm tests/slurm",
}


@pytest.fixture(scope="module")
def default_study(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(
        tmp_path_factory.mktemp("readme") / "project", (ROOT / "config.yaml").read_text()
    )
    shutil.copytree(ROOT / "studies", project.folder / "studies")
    return project


def test_the_readme_has_commands() -> None:
    assert {shlex.split(command)[0] for command in COMMANDS} == {"make", ".venv/bin/snakemake"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_accepted(
    default_study: Project, command: str, request: pytest.FixtureRequest
) -> None:
    program, *arguments = shlex.split(command)
    if program == "make":
        dry_run = ["make", "-n", "--always-make", *arguments]
        done = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert MADE[arguments[0]] in done.stdout
    elif "--report" in arguments:
        study: Project = request.getfixturevalue("copy")
        done = study.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        with ZipFile(study.folder / arguments[-1]) as report:
            names = [Path(name).name for name in report.namelist()]
        assert {"summary.md", "win_rate.png", "cross_faithfulness.png"} <= set(names)
    else:
        assert default_study.planned(*arguments)


def test_the_answer_in_the_readme_is_the_recorded_one() -> None:
    record = json.loads((ROOT / "benchmarks" / "study.json").read_text())
    quoted = " ".join(line[2:] for line in README.splitlines() if line.startswith("> "))
    assert quoted == " ".join((record["after"] or record["before"])["answer"].split())


@pytest.mark.parametrize("document", ["README.md", *DOCUMENTS])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert ((ROOT / document).parent / link).exists(), link


def test_the_map_of_the_repository_is_true() -> None:
    block = next(
        block for block in re.findall(r"\n\n```\n(.*?)```", README, re.S) if "Snakefile" in block
    )
    library = ROOT / "workflow/scripts/timelapse"
    stages = {path.name for path in library.iterdir() if (path / "__init__.py").exists()}
    named = set(re.findall(r"^    (\w+)/", block, re.M))
    assert named == stages
    for line in block.splitlines():
        for name in re.split(r"\s{2,}", line)[:-1] if not line.startswith(" ") else []:
            for path in name.split():
                assert (ROOT / path).exists(), path


def test_the_task_of_the_documentation_is_a_task(tmp_path: Path) -> None:
    from timelapse.tasks.spec import load_spec

    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/tasks.md").read_text(), re.S)
    assert yaml.safe_load(block)
    path = tmp_path / "example.yaml"
    path.write_text(block)
    assert load_spec(path).corruption_names == ["flip", "abc"]


def test_the_catalog_finds_the_workflow(default_study: Project) -> None:
    assert default_study.planned("-s", "workflow/Snakefile") == default_study.planned()
