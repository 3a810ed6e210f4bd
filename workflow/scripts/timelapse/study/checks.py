"""What is checked before anything runs: the study, its tasks, and how its models fit them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from timelapse.circuits.graph import GraphShape
from timelapse.errors import UserError, raise_errors
from timelapse.files.messages import advice
from timelapse.machine.disks import nearest
from timelapse.models.metric import METRICS
from timelapse.study.config_files import ConfigFiles
from timelapse.study.study import Study, read_study
from timelapse.tasks.spec import TaskSpec, load_spec

_TOKEN = re.compile(r"[^\s,.]+|[,.]")


def checked(
    files: Iterable[str | Path], overrides: Mapping[str, Any] | None = None
) -> tuple[Study, dict[str, TaskSpec]]:
    """The study that config files stand for and the specs of its tasks, after every check.

    Args:
        files: the config files, as `ConfigFiles.read` takes them.
        overrides: what `--config` says.

    Raises:
        UserError: for all that is wrong with the config; if nothing is, with the specs; and then
            with how they fit each other.
    """
    study = read_study(ConfigFiles.read(files, overrides))
    specs, errors = {}, []
    for task in study.tasks:
        try:
            specs[task] = load_spec(study.task_file(task))
        except UserError as error:
            errors.append(error)
    raise_errors(errors)
    raise_errors(
        [
            *metric_errors(specs.values()),
            *circuit_size_errors(study),
            *embedded_model_errors(study, specs),
        ]
    )
    return study, specs


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


def embedded_model_errors(study: Study, specs: Mapping[str, TaskSpec]) -> Iterator[UserError]:
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


def circuit_size_errors(study: Study) -> Iterator[UserError]:
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
