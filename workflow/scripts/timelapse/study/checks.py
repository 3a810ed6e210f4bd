"""What is checked before anything runs: the study, its tasks, and how its models fit them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from timelapse.circuits.graph import GraphShape
from timelapse.errors import UserError
from timelapse.machine.disks import nearest
from timelapse.study.config import Study, read_study
from timelapse.tasks.spec import TaskSpec, load_spec

_TOKEN = re.compile(r"[^\s,.]+|[,.]")


def checked(
    config: Mapping[str, Any],
    files: Iterable[str | Path],
    task_folder: Path,
    command_line: bool = False,
) -> tuple[Study, dict[str, TaskSpec]]:
    """The study that a config stands for and the specs of its tasks, after every check.

    Args:
        config: the merged config, command-line overrides included.
        files: the files it came from.
        task_folder: where the task specs lie.
        command_line: whether `--config` has changed something.

    Raises:
        UserError: for the first thing that cannot work.
    """
    study = read_study(config, files, task_folder, command_line)
    specs = {task: load_spec(task_folder / f"{task}.yaml") for task in study.tasks}
    check_circuit_size(study)
    check_embedded_models(study, specs)
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
    there = nearest(folder)
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(there, key, f"nothing can be written there ({reason})", remedy) from error


def check_embedded_models(study: Study, specs: Mapping[str, TaskSpec]) -> None:
    """Check that embedded models know the words of their tasks and have room for the prompts.

    Raises:
        UserError: naming the task's file.
    """
    for model in study.models.values():
        if model.source != "embedded":
            continue
        known = {word for task in model.mixture for word in specs[task].words()}
        runs = [run for run in study.runs.values() if run.model == model.name]
        for task in sorted({*model.mixture, *(task for run in runs for task in run.tasks)}):
            unknown = sorted(set(specs[task].words()) - known)
            if unknown:
                raise UserError(
                    specs[task].source,
                    "fillers",
                    f"model {model.name!r} does not know {unknown[0]!r}, which is in no task of "
                    "its mixture",
                    f"Add {task} to models.{model.name}.embedded.mixture or use words of its tasks",
                )
            longest, context = longest_text(specs[task]), model.settings["context"]
            if longest > context:
                raise UserError(
                    specs[task].source,
                    "templates",
                    f"a prompt with its answer has {longest} tokens, model {model.name!r} reads "
                    f"{context}",
                    f"Raise models.{model.name}.embedded.context or shorten the template",
                )


def check_circuit_size(study: Study) -> None:
    """Check that compared circuits leave out some edges of the embedded models they are found in.

    Raises:
        UserError: naming `comparison.edges`.
    """
    n_edges = study.comparison["edges"]
    for run in study.runs.values():
        model = study.models[run.model]
        if not run.circuits or model.source != "embedded":
            continue
        layers, heads = (model.settings[name] for name in ("layers", "heads"))
        shape = GraphShape(layers, heads, heads)
        there = sum(shape.n_upstream(target) for target in shape.targets)
        if n_edges >= there:
            raise UserError(
                study.source,
                "comparison.edges",
                f"circuits of {n_edges} edges are no part of model {model.name!r}, which has "
                f"{there}",
                f"Ask for fewer than {there}",
            )


def longest_text(spec: TaskSpec) -> int:
    """Tokens of a task's longest prompt with its answer: words, commas and full stops."""
    layouts = [layout for template in spec.templates for layout in template]
    return 1 + max(len(_TOKEN.findall("x".join(layout.literals))) for layout in layouts)
