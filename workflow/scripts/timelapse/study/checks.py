"""What is checked before anything runs: the study, its tasks, and how its models fit them."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import METHODS
from timelapse.errors import UserError
from timelapse.files.messages import advice
from timelapse.machine.disks import nearest
from timelapse.models.metric import METRICS
from timelapse.models.run_sources import RUN_SOURCES
from timelapse.study.config import Config, FineTuning, ModelSettings
from timelapse.study.config_files import located, task_file
from timelapse.study.runs import Mistake
from timelapse.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from timelapse.study.study import Study

MOST_CHECKPOINTS = 10_000
"""Of one run: each is a job's worth of measurements, and a folder."""
_TOKEN = re.compile(r"[^\s,.]+|[,.]")


def check_writable(folder: str | Path, key: str, remedy: str) -> None:
    """Check that a folder can be written to, or made where it is not there yet.

    Args:
        folder: the folder.
        key: the key of the config that names it, if any.
        remedy: what to do if it cannot.

    Raises:
        UserError: naming the folder, or what stands in its way.
    """
    existing = nearest(folder)
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        problem = f"nothing can be written there ({reason})"
        raise UserError(existing, key, problem, remedy) from error


def metric_errors(specs: Iterable[TaskSpec]) -> Iterator[UserError]:
    """Where a task names a metric that there is not.

    Returns:
        Errors that name the task's file.
    """
    for spec in specs:
        if spec.metric not in METRICS:
            problem = f"there is no metric {spec.metric!r}"
            yield UserError(spec.source, "metric", problem, advice(spec.metric, METRICS))


def embedded_model_errors(study: "Study", specs: Mapping[str, TaskSpec]) -> Iterator[UserError]:
    """Where embedded models do not know the words of their tasks, or have no room for the prompts.

    Returns:
        Errors that name the task's file.
    """
    for model in study.models.values():
        if model.source != "embedded":
            continue
        known = {word for task in model.mixture for word in specs[task].words()}
        runs = [run for run in study.runs.values() if run.model == model.name]
        for task in sorted({*model.mixture, *(task for run in runs for task in run.tasks)}):
            unknown = sorted(set(specs[task].words()) - known)
            if unknown:
                yield UserError(
                    specs[task].source,
                    "fillers",
                    f"model {model.name!r} does not know {unknown[0]!r}, which is in no task of "
                    "its mixture",
                    f"Add {task} to models.{model.name}.embedded.mixture or use words of its tasks",
                )
            longest, context = longest_text(specs[task]), model.embedded.context
            if longest > context:
                yield UserError(
                    specs[task].source,
                    "templates",
                    f"a prompt with its answer has {longest} tokens, model {model.name!r} reads "
                    f"{context}",
                    f"Raise models.{model.name}.embedded.context or shorten the template",
                )


def circuit_size_errors(study: "Study") -> Iterator[UserError]:
    """Where compared circuits are as large as the embedded models they are found in.

    Returns:
        Errors that name `comparison.edges`.
    """
    n_edges = study.comparison.edges
    for run in study.runs.values():
        model = study.models[run.model]
        if not run.circuits or model.source != "embedded":
            continue
        shape = GraphShape(model.embedded.layers, model.embedded.heads, model.embedded.heads)
        n_all = sum(shape.n_upstream(target) for target in shape.targets)
        if n_edges >= n_all:
            yield UserError(
                study.files.source_of(("comparison", "edges")),
                "comparison.edges",
                f"circuits of {n_edges} edges are asked for, and model {model.name!r} has only "
                f"{n_all}",
                f"Ask for fewer than {n_all}",
            )


def longest_text(spec: TaskSpec) -> int:
    """Tokens of a task's longest prompt with its answer: words, commas and full stops."""
    return 1 + max(len(_TOKEN.findall("x".join(layout.literals))) for layout in spec.layouts)


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
