"""A study: the validated config as typed values."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timelapse.errors import UserError
from timelapse.files.documents import read_yaml, validated
from timelapse.study.jobs import Jobs
from timelapse.study.runs import Run, kept_steps, repeat_name, with_repeats

TEMPLATE = "__use_yte__"
"""The key by which a file asks Snakemake to run the code in it."""

MOST_CHECKPOINTS = 10_000
"""Of one run: each is a job's worth of measurements, and a folder."""

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"


@dataclass(frozen=True)
class Model:
    """Where runs start; `source` is "embedded", "folder" or "hub"."""

    name: str
    source: str
    settings: Any
    seed: int

    @property
    def files(self) -> list[str]:
        """The files of a local folder; else none."""
        folder = Path(self.settings) if self.source == "folder" else None
        return sorted(str(path) for path in folder.iterdir() if path.is_file()) if folder else []

    @property
    def mixture(self) -> dict[str, float]:
        """The tasks that an embedded model is trained on and their weights; else empty."""
        return dict(self.settings["mixture"]) if self.source == "embedded" else {}


@dataclass(frozen=True)
class Study:
    """Everything that a config says, and the files that say it."""

    seed: int
    granularity: str
    store: str
    activations: dict[str, Any]
    compute: dict[str, Any]
    models: dict[str, Model]
    runs: dict[str, Run]
    probes: dict[str, dict[str, Any]]
    comparison: dict[str, Any]
    films: dict[str, Any]
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: str = "config"

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks that the study needs, sorted."""
        tasks = {task for run in self.runs.values() for task in run.tasks}
        return tuple(sorted(tasks.union(*(model.mixture for model in self.models.values()))))

    @property
    def evaluations(self) -> list[Jobs]:
        """Every run on every task that it is evaluated on, all its checkpoints together or each."""
        each = self.granularity == "checkpoint"
        return [
            Jobs(run, task, run.steps, each) for run in self.runs.values() for task in run.evaluate
        ]

    @property
    def jobs(self) -> list[Jobs]:
        """How the measuring of the evaluations is cut into jobs."""
        return [part for evaluation in self.evaluations for part in evaluation.parts]


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a config file as plain data.

    Snakemake's own reader runs the Python code in a config that has the key `__use_yte__`, so this
    comes before it.

    Raises:
        UserError: the file cannot be read, is no plain YAML, or asks to be run as a template.
    """
    document = read_yaml(path)
    if TEMPLATE in document:
        problem = "a config is plain data, and this key makes it a template with code"
        raise UserError(path, TEMPLATE, problem, "Remove the key and write the values out")
    return document


def read_study(
    config: Mapping[str, Any],
    files: Iterable[str | Path],
    task_folder: Path,
    command_line: bool = False,
) -> Study:
    """Check a config and read it.

    Args:
        config: the merged config, command-line overrides included.
        files: the files it came from; read again for what a merge hides, such as duplicate keys.
        task_folder: where the task specs lie.
        command_line: whether `--config` has changed something.

    Raises:
        UserError: naming the file, the key, what is wrong, and what to do.
    """
    names = [str(file) for file in files]
    for name in names:
        read_config(Path(name))
    source = ", ".join(names + ["--config"] * command_line) or "config"
    document = with_repeats(validated(dict(config), SCHEMA, source), source)
    seed = document["seed"]
    models = {
        name: _model(name, settings, seed, source) for name, settings in document["models"].items()
    }
    _check_store(document["store"], source)
    runs = {name: _run(name, settings, seed) for name, settings in document["runs"].items()}
    for run in runs.values():
        if len(run.steps) > MOST_CHECKPOINTS:
            raise UserError(
                source,
                f"runs.{run.name}.checkpoints",
                f"{len(run.steps):,} checkpoints would be kept, {MOST_CHECKPOINTS:,} are the most",
                "Keep them farther apart",
            )
        if run.model not in models:
            raise UserError(
                source,
                f"runs.{run.name}.model",
                f"there is no model {run.model!r}",
                f"Name one of models: {', '.join(sorted(models))}",
            )
        settings = document["runs"][run.name]
        if settings["warmup"] + settings["decay"] > settings["steps"]:
            raise UserError(
                source,
                f"runs.{run.name}.decay",
                f"warm-up and decay take {settings['warmup'] + settings['decay']} steps, "
                f"there are {settings['steps']}",
                "Shorten one of them or raise `steps`",
            )
        both = sorted({run.task, *run.evaluate}.intersection(run.controls))
        if both:
            raise UserError(
                source,
                f"runs.{run.name}.controls",
                f"{both[0]} is trained or evaluated, so it is no control",
                "Name tasks that the run is not about",
            )
        if run.steps[-1] > document["runs"][run.name]["steps"]:
            raise UserError(
                source,
                f"runs.{run.name}.checkpoints.steps",
                f"step {run.steps[-1]} comes after the last, {document['runs'][run.name]['steps']}",
                "Raise `steps` or leave that checkpoint out",
            )
        _check_circuits(run, document, source)
    study = Study(
        seed=seed,
        granularity=document["granularity"],
        store=document["store"],
        activations=document["activations"],
        compute=document["compute"],
        models=models,
        runs=runs,
        probes=document["probes"],
        comparison=document["comparison"],
        films=document["films"],
        figures=_figures(document),
        source=source,
    )
    for task in study.tasks:
        if not (task_folder / f"{task}.yaml").is_file():
            there = ", ".join(sorted(path.stem for path in task_folder.glob("*.yaml")))
            raise UserError(
                source,
                _where_used(study, task),
                f"there is no task {task!r}",
                f"Write {task_folder / task}.yaml or name one of: {there}",
            )
    return study


def _figures(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of the figures; circuits are drawn as large as they are compared."""
    figures: dict[str, dict[str, Any]] = document["figures"]
    edges = document["comparison"]["edges"]
    return {**figures, "circuit": {"edges": edges, **figures["circuit"]}}


def _check_circuits(run: Run, document: Mapping[str, Any], source: str) -> None:
    """Whether the circuits of a run can be found and compared."""
    if not run.circuits:
        return
    methods = document["probes"]["edges"]["methods"]
    if methods[0] == "node":
        raise UserError(
            source,
            "probes.edges.methods",
            "the first method is `node`, which scores nodes and no edges; circuits are made of "
            "edges",
            "Put a method that scores edges before it, such as EAP-IG",
        )
    if run.task not in run.evaluate:
        raise UserError(
            source,
            f"runs.{run.name}.evaluate",
            f"{run.task!r} is missing, the task that the run is trained on and whose circuit the "
            "others are compared with",
            f"Add {run.task} or set `circuits: false`",
        )


def _model(name: str, settings: Mapping[str, Any], seed: int, source: str) -> Model:
    (kind,) = settings
    inner = settings[kind]
    if kind == "folder" and not _holds_a_model(Path(inner)):
        raise UserError(
            source,
            f"models.{name}.folder",
            f"{inner} is no model folder, it has no config.json",
            "Give a Hugging Face folder with config.json, model.safetensors and tokenizer.json",
        )
    if kind != "embedded":
        return Model(name, kind, inner, seed)
    if inner["width"] % inner["heads"]:
        raise UserError(
            source,
            f"models.{name}.embedded.heads",
            f"{inner['heads']} heads do not divide the width {inner['width']}",
            "Choose a width that is a multiple of the heads",
        )
    own = {key: value for key, value in inner.items() if key != "seed"}
    return Model(name, kind, own, inner.get("seed", seed))


def _holds_a_model(folder: Path) -> bool:
    """Whether there is such a folder, may be looked into, and has a model's config."""
    try:
        return "config.json" in {path.name for path in folder.iterdir() if path.is_file()}
    except OSError:
        return False


def _check_store(store: str, source: str) -> None:
    """Snakemake removes what it finds of its outputs, so the store lies elsewhere."""
    results = Path("results").absolute()
    folder = Path(os.path.normpath(Path(store).absolute()))
    if folder.is_relative_to(results):
        problem = f"the store {store} lies in results/, where Snakemake removes files"
        raise UserError(
            source, "store", problem, "Name a folder elsewhere, such as .cache/timelapse"
        )


def _run(name: str, settings: Mapping[str, Any], seed: int) -> Run:
    recipe = {
        key: settings[key]
        for key in ("steps", "batch", "learning_rate", "warmup", "decay", "weight_decay", "dtype")
    }
    return Run(
        name=name,
        model=settings["model"],
        task=settings["task"],
        evaluate=tuple(settings.get("evaluate", [settings["task"]])),
        steps=kept_steps(settings["checkpoints"], settings["steps"]),
        recipe=recipe,
        seed=settings.get("seed", seed),
        repeats=tuple(repeat_name(name, other) for other in settings.get("seeds", [])),
        circuits=settings["circuits"],
        controls=tuple(settings["controls"]),
    )


def _where_used(study: Study, task: str) -> str:
    for run in study.runs.values():
        if run.task == task:
            return f"runs.{run.name}.task"
        if task in run.evaluate:
            return f"runs.{run.name}.evaluate"
        if task in run.controls:
            return f"runs.{run.name}.controls"
    for model in study.models.values():
        if task in model.mixture:
            return f"models.{model.name}.embedded.mixture.{task}"
    raise AssertionError(task)
