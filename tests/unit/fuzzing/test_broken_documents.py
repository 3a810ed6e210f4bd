"""A thousand broken configs and a thousand broken specs: clear errors, nothing else."""

import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing.mutations import broken

from timelapse import paths
from timelapse.errors import UserError
from timelapse.figures.films.registry import FILMS
from timelapse.figures.overviews.registry import pictures
from timelapse.study.study import Study, checked
from timelapse.study.targets import results
from timelapse.tasks.expansion import expand
from timelapse.tasks.spec import TaskSpec

ROOT = Path(__file__).parents[3]
TASKS = sorted((ROOT / "tasks").glob("*.yaml"))
CASES = 1250
REFUSED = 0.8
"""The share of broken documents that is no document any more, at least."""
each_size = pytest.mark.parametrize(
    "cases",
    [range(40), pytest.param(range(40, CASES), marks=pytest.mark.fuzz)],
    ids=["few", "many"],
)
CONFIG = """\
seed: 3
store: .cache/timelapse
activations: {dtype: float16, cap_gb: 1, rows: 10}
models:
  base:
    embedded: {layers: 2, heads: 2, width: 16, mixture: {ioi2: 2, ambiguous3: 1}, steps: 6}
  other: {hub: gpt2}
runs:
  tiny:
    model: base
    task: ioi2
    evaluate: [ioi2]
    controls: [ambiguous3]
    steps: 4
    seeds: [1, 2]
    learning_rate: 1e-3
    checkpoints: {every: 2}
  plain: {model: other, task: ioi2, steps: 8, circuits: false, checkpoints: {log_spaced: 3}}
probes:
  win_rate: {prompts: 12}
  attention: {prompts: 6, batch: 4, heads: [a1.h0], examples: [0, 5]}
  edges: {prompts: 4, methods: [EAP-IG, node], ig_steps: 2, positions: true}
comparison: {edges: 20, prompts: 4, resamples: 20, splits: 4}
figures: {circuit: {edges: 5, corruption: pooled}, head_roles: {top: 3}}
"""


def study_on(task: str, folder: Path) -> dict[str, Any]:
    return {
        "tasks": str(folder),
        "models": {"base": {"embedded": {"mixture": {task: 1}}}},
        "runs": {"tuned": {"model": "base", "task": task, "steps": 20}},
    }


def paths_of(study: Study) -> list[str]:
    """Every path that the rules make of a study's names."""
    overviews = {name: pictures(run) for name, run in study.runs.items()}
    found = results(study, {name: film.table for name, film in FILMS.items()}, overviews)
    for run in study.runs.values():
        found.append(paths.fill(paths.MODEL, model=run.model))
        found.append(str(paths.step_folder(paths.fill(paths.CHECKPOINTS, run=run.name), 8)))
        found += [f"logs/finetune/{run.name}.log"]
        for task in run.tasks:
            found += [f"results/datasets/{task}/test.parquet", *run.tables("edges", task)]
    return found


def fault_of(error: UserError, folder: Path) -> str | None:
    """What one of the errors lacks, if anything."""
    faults = [_fault_of_one(one, folder) for one in error.each]
    if str(error).count("\n") > 20:
        return "too many lines"
    return next(filter(None, faults), None)


def _fault_of_one(error: UserError, folder: Path) -> str | None:
    text = str(error)
    if not text.isprintable():
        return "not one printable line"
    if len(text) > 1500:
        return f"{len(text)} characters"
    if not (error.problem.strip() and error.remedy.strip() and error.remedy[0].isupper()):
        return "no problem or no remedy"
    if not any(str(place) in error.source for place in (folder, "tasks/")):
        return "no file"
    whole = ("the file", "the top level")
    if not error.key and not error.problem.startswith(whole):
        return "no key"
    return None


def sound(study: Study, specs: dict[str, TaskSpec]) -> str | None:
    """What is wrong with a study that was accepted, if anything."""
    part = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}")
    for path in paths_of(study):
        first, *others = path.split("/")
        if first not in ("results", "logs") or not all(map(part.fullmatch, others)):
            return f"the path {path!r}"
    if not all(re.compile("|".join(names)) for names in (study.runs, study.tasks, study.models)):
        return "names that are no wildcards"
    for spec in specs.values():
        next(expand(spec, study.seed, batch=4))
    return None


def run_cases(
    cases: Iterable[int],
    folder: Path,
    text_of: Callable[[random.Random], str],
    attempt: Callable[[bytes], Any],
) -> float:
    """Try broken copies of documents; return the share that was refused.

    Raises:
        AssertionError: listing those that were not told in clear errors.
    """
    refused, faults = [], []
    for seed in cases:
        rng = random.Random(seed)
        content = broken(text_of(rng), rng)
        try:
            study, specs = attempt(content)
        except UserError as error:
            refused.append(True)
            fault = fault_of(error, folder)
            fault = fault and f"{fault}: {str(error)[:300]!r}"
        except Exception as error:
            fault = f"{type(error).__name__}: {str(error)[:300]}"
        else:
            refused.append(False)
            try:
                fault = sound(study, specs)
            except Exception as error:
                fault = f"accepted, then {type(error).__name__}: {str(error)[:300]}"
        if fault:
            faults.append(f"case {seed}: {fault}")
    assert not faults, f"{len(faults)} faults\n" + "\n".join(faults[:20])
    return sum(refused) / len(refused)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@each_size
def test_every_broken_config_is_told_in_clear_errors(folder: Path, cases: range) -> None:
    shipped = [CONFIG, (ROOT / "config.yaml").read_text()]

    def attempt(content: bytes) -> Any:
        (folder / "config.yaml").write_bytes(content)
        return checked([folder / "config.yaml"])

    refused = run_cases(cases, folder, lambda rng: rng.choice((CONFIG, *shipped)), attempt)
    assert refused >= REFUSED


@each_size
def test_every_broken_spec_is_told_in_clear_errors(folder: Path, cases: range) -> None:
    chosen: list[Path] = []

    def text_of(rng: random.Random) -> str:
        chosen[:] = [rng.choice(TASKS)]
        return chosen[0].read_text()

    def attempt(content: bytes) -> Any:
        (folder / "broken").mkdir(exist_ok=True)
        (folder / "broken" / chosen[0].name).write_bytes(content)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(study_on(chosen[0].stem, folder / "broken")))
        return checked([config])

    assert run_cases(cases, folder, text_of, attempt) >= REFUSED
