"""What does not fit together in a config: names of nothing, numbers that exclude each other."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from timelapse.circuits.methods import METHODS
from timelapse.files.messages import advice
from timelapse.models.run_sources import RUN_SOURCES
from timelapse.study.config import Config, FineTuning, ModelSettings
from timelapse.study.config_files import located, task_file
from timelapse.study.repeats import Mistake

MOST_CHECKPOINTS = 10_000
"""Of one run: each is a job's worth of measurements, and a folder."""


def config_mistakes(
    config: Config, models: Mapping[str, ModelSettings], runs: Mapping[str, FineTuning]
) -> Iterator[Mistake]:
    """What does not fit together in a config, each value of which is what it should be."""
    if _is_in_results(config.store):
        problem = f"the store {config.store} lies in results/, where Snakemake removes files"
        yield ("store",), problem, "Name a folder elsewhere, such as .cache/timelapse"
    if "tasks" in config.model_fields_set and not located(config.tasks).is_dir():
        problem = f"there is no folder {config.tasks}"
        yield ("tasks",), problem, "Make it, or leave the key out to use the tasks that are shipped"
    drawn = config.figures.model_dump()["circuit"]["method"]
    if drawn is not None and drawn not in config.edges.methods:
        problem = f"edges are not scored by {drawn!r}"
        yield ("figures", "circuit", "method"), problem, advice(drawn, config.edges.methods)
    for name, source in config.models.items():
        yield from _mistakes_of_model(name, source)
    for name, run in config.runs.items():
        yield from _mistakes_of_run(name, run, config, models)
    folder, seen = Path(config.tasks), set()
    for path, task in _tasks(config):
        if task not in seen and not task_file(folder, task).is_file():
            seen.add(task)
            known = {file.stem for file in (*_specs(folder), *_specs(located("tasks")))}
            remedy = f"Write {folder / task}.yaml or name another. {advice(task, known)}"
            yield path, f"there is no task {task!r}", remedy


def _mistakes_of_model(name: str, model: ModelSettings) -> Iterator[Mistake]:
    source, settings = model.source, model.settings
    located_settings = str(located(settings)) if source.is_path else settings
    for path, problem, remedy in source.mistakes(located_settings):
        yield ("models", name, source.name, *path), problem, remedy


def _mistakes_of_run(
    name: str, run: FineTuning, config: Config, models: Mapping[str, ModelSettings]
) -> Iterator[Mistake]:
    here = ("runs", name)
    if run.model not in models:
        problem = f"there is no model {run.model!r}"
        yield (*here, "model"), problem, f"Name one of models: {', '.join(sorted(models))}"
    source = RUN_SOURCES[run.source]
    for path, problem, remedy in source.mistakes(run):
        yield (*here, *path), problem, remedy
    steps = source.steps(run)
    if len(steps) > MOST_CHECKPOINTS:
        problem = f"{len(steps):,} checkpoints would be kept, {MOST_CHECKPOINTS:,} are the most"
        yield (*here, "checkpoints"), problem, "Keep them farther apart"
    for both in sorted({run.task, *run.evaluated}.intersection(run.controls)):
        problem = f"{both} is trained or evaluated, so it is no control"
        yield (*here, "controls"), problem, "Name tasks that the run is not about"
    if not run.circuits:
        return
    first = config.edges.methods[0]
    if METHODS[first].scores == "nodes":
        yield (
            ("probes", "edges", "methods"),
            f"the first method is `{first}`, which scores nodes and no edges; circuits are made of "
            "edges",
            "Put a method that scores edges before it, such as EAP-IG",
        )
    if run.task not in run.evaluated:
        yield (
            (*here, "evaluate"),
            f"{run.task!r} is missing, the task that the run is trained on and whose circuit the "
            "others are compared with",
            f"Add {run.task} or set `circuits: false`",
        )


def _tasks(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every task that a config names, and where."""
    for name, run in config.runs.items():
        yield ("runs", name, "task"), run.task
        for key, tasks in (("evaluate", run.evaluated), ("controls", run.controls)):
            for task in tasks:
                yield ("runs", name, key), task
    for name, source in config.models.items():
        for task in source.source.mixture(source.settings):
            yield ("models", name, source.source.name, "mixture", task), task


def _specs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _is_in_results(store: str) -> bool:
    """Whether Snakemake, which removes what it finds of its outputs, works in a folder."""
    folder = Path(os.path.normpath(Path(store).absolute()))
    return folder.is_relative_to(Path("results").absolute())
