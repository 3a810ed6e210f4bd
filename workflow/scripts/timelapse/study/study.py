"""A study: what its config says, checked, as the runs and models that the workflow works on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from timelapse.errors import UserError, raise_errors
from timelapse.files.messages import dotted
from timelapse.files.validation import validate
from timelapse.models.run_sources import RUN_SOURCES
from timelapse.models.sources import SOURCES, EmbeddedModel
from timelapse.probes.probe_settings import EdgesSettings, ProbeSettings
from timelapse.steps import Granularity
from timelapse.study.checks import (
    circuit_size_errors,
    config_mistakes,
    embedded_model_errors,
    metric_errors,
)
from timelapse.study.config import (
    Activations,
    Comparison,
    Compute,
    Config,
    Films,
    FineTuning,
    ModelSettings,
)
from timelapse.study.config_files import ConfigFiles, located, task_file
from timelapse.study.runs import Run, repeats_of, with_repeats
from timelapse.tasks.spec import TaskSpec, load_spec


@dataclass(frozen=True)
class Model:
    """Where runs start.

    Attributes:
        name: part of its paths.
        source: the name of its source, see `models.sources.SOURCES`.
        settings: what the config says below the source's key, without a seed.
        seed: of its weights, if they are drawn.
    """

    name: str
    source: str
    settings: Any
    seed: int

    @property
    def files(self) -> list[str]:
        """The files that it is made from."""
        return SOURCES[self.source].files(self.settings)

    @property
    def function(self) -> str:
        """What makes it, as `module:function`."""
        return SOURCES[self.source].function

    @property
    def embedded(self) -> EmbeddedModel:
        """How it is trained.

        Raises:
            TypeError: it comes from elsewhere.
        """
        if not isinstance(self.settings, EmbeddedModel):
            raise TypeError(f"model {self.name} is not embedded")
        return self.settings

    @property
    def mixture(self) -> dict[str, float]:
        """The tasks on whose texts it is trained and their weights; empty if it comes trained."""
        return dict(SOURCES[self.source].mixture(self.settings))

    @property
    def params(self) -> dict[str, Any]:
        """All that its weights depend on, as plain data."""
        settings = self.settings
        if isinstance(settings, BaseModel):
            settings = settings.model_dump(exclude={"seed"}, exclude_none=True)
        return {"name": self.name, "source": self.source, "settings": settings, "seed": self.seed}


@dataclass(frozen=True)
class Study:
    """Everything that a config says, and the files that say it.

    Attributes:
        probes: the settings of every probe, by its name.
        figures: the options of figures that a config sets, by the figure's name.
        tasks_folder: where tasks are looked for before those that are shipped.
        files: where all of it is said.
    """

    seed: int
    granularity: Granularity
    store: str
    activations: Activations
    compute: Compute
    models: dict[str, Model]
    runs: dict[str, Run]
    probes: dict[str, ProbeSettings]
    comparison: Comparison
    films: Films
    figures: dict[str, dict[str, Any]]
    tasks_folder: Path
    files: ConfigFiles

    @property
    def source(self) -> str:
        """The files that say it, for messages."""
        return self.files.names

    def models_of(self, rule: str) -> list[str]:
        """The names of the models that a rule makes."""
        return [m.name for m in self.models.values() if SOURCES[m.source].rule == rule]

    def runs_of(self, rule: str) -> list[str]:
        """The names of the runs whose checkpoints a rule makes."""
        return [run.name for run in self.runs.values() if RUN_SOURCES[run.source].rule == rule]

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks that the study needs, sorted."""
        tasks = {task for run in self.runs.values() for task in run.tasks}
        return tuple(sorted(tasks.union(*(model.mixture for model in self.models.values()))))

    def task_file(self, task: str) -> Path:
        """The spec of a task: in the study's folder, else among those that are shipped."""
        return task_file(self.tasks_folder, task)

    @property
    def edges(self) -> EdgesSettings:
        """How edges are scored."""
        settings = self.probes["edges"]
        assert isinstance(settings, EdgesSettings)
        return settings


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


def read_study(files: ConfigFiles) -> Study:
    """Check a config and read it.

    Raises:
        UserError: naming, for every mistake, the file, the key, what is wrong, and what to do. What
            does not fit together is looked for where every value is what it should be.
    """
    config = validate(Config, files.document, files.source_of)
    models, runs, mistakes = with_repeats(config)
    mistakes += config_mistakes(config, models, runs)
    raise_errors(
        UserError(files.source_of(path), dotted(path), *words) for path, *words in mistakes
    )
    return Study(
        seed=config.seed,
        granularity=config.granularity,
        store=config.store,
        activations=config.activations,
        compute=config.compute,
        models={name: _model(name, source, config.seed) for name, source in models.items()},
        runs={name: _run(name, settings, config) for name, settings in runs.items()},
        probes=config.probe_settings,
        comparison=config.comparison,
        films=config.films,
        figures=_figures(config),
        tasks_folder=Path(config.tasks),
        files=files,
    )


def _figures(config: Config) -> dict[str, dict[str, Any]]:
    """The options of figures that are set; circuits are drawn as large as they are compared."""
    figures: dict[str, dict[str, Any]] = config.figures.model_dump(exclude_unset=True)
    edges = config.comparison.edges
    return {**figures, "circuit": {"edges": edges, **figures.get("circuit", {})}}


def _model(name: str, given: ModelSettings, seed: int) -> Model:
    source, settings = given.source, given.settings
    if source.is_path:
        settings = str(located(settings))
    if source.is_seeded:
        seed = seed if settings.seed is None else settings.seed
        settings = settings.model_copy(update={"seed": None})
    return Model(name, source.name, settings, seed)


def _run(name: str, settings: FineTuning, config: Config) -> Run:
    source = RUN_SOURCES[settings.source]
    return Run(
        name=name,
        source=source.name,
        model=settings.model,
        task=settings.task,
        evaluate=settings.evaluated,
        steps=source.steps(settings),
        recipe=source.recipe(settings),
        seed=config.seed if settings.seed is None else settings.seed,
        granularity=config.granularity,
        most_compared=config.comparison.checkpoints,
        repeats=repeats_of(name, settings.seeds),
        circuits=settings.circuits,
        controls=settings.controls,
    )
