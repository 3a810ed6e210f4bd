"""What the jobs of a study ask a scheduler for, rule by rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from timelapse.study import resources
from timelapse.study.checks import longest_text
from timelapse.study.jobs import Jobs
from timelapse.study.resources import Request, Size
from timelapse.study.runs import Run
from timelapse.study.study import Study
from timelapse.tasks.spec import TaskSpec

SUBWORDS = 1.5
"""Tokens for a word, where a tokenizer splits words."""


@dataclass(frozen=True)
class Requests:
    """What the jobs of a study ask for.

    Attributes:
        study: the study.
        specs: its tasks.
    """

    study: Study
    specs: Mapping[str, TaskSpec]

    def size(self, name: str) -> Size:
        """The size of a model; GPT-2 small's until a model from the hub has been fetched."""
        if name in self._embedded:
            return self._embedded[name]
        model = self.study.models[name]
        fetched = str(model.settings) if model.source == "folder" else f"results/models/{name}"
        return Size.of_folder(fetched)

    def training(self, name: str) -> Request:
        """Training an embedded model."""
        size, settings = self.size(name), self.study.models[name].embedded
        return resources.training(size, settings.batch, size.context, settings.steps)

    def fetching(self, name: str) -> Request:
        """Copying or downloading a model."""
        return resources.fetching(self.size(name))

    def finetuning(self, run: Run) -> Request:
        """Fine-tuning a run."""
        batch, steps = run.recipe["batch"], run.recipe["steps"]
        request = resources.training(self.size(run.model), batch, self._length[run.task], steps)
        return request.with_writing(len(run.steps))

    def probe(self, probe: str, run: Run, task: str, checkpoints: int) -> Request:
        """Measuring some checkpoints of a run with a probe."""
        size, length = self.size(run.model), self._length[task]
        settings, corruptions = self.study.probes[probe], len(self.specs[task].corruption_names)
        return resources.measuring(
            size,
            settings.prompts,
            settings.batch,
            length,
            resources.passes(probe, settings, size, length, corruptions),
            checkpoints,
        )

    def transfer(self, jobs: Jobs) -> Request:
        """Running circuits in some of the compared checkpoints."""
        comparison, tasks = self.study.comparison, jobs.run.evaluate
        size, length = self.size(jobs.run.model), self._length[jobs.task]
        corruptions = len(self.specs[jobs.task].corruption_names)
        return resources.measuring(
            size,
            comparison.prompts,
            comparison.batch,
            length,
            resources.transfer_passes(size, len(jobs.steps), len(tasks), corruptions),
            len(jobs.checkpoints),
        )

    def comparing(self, jobs: Jobs) -> Request:
        """Comparing the circuits of a run."""
        return resources.comparing(
            self.size(jobs.run.model),
            self.study.probes["edges"].prompts,
            len(jobs.steps),
            len(jobs.run.evaluate) + len(jobs.run.controls),
            self.study.comparison.resamples,
        )

    def tables(self, n_files: int) -> Request:
        """Reading, writing or drawing tables of so many steps: three seconds for each."""
        return resources.light(3 * n_files)

    # A large study asks a hundred thousand times.
    @cached_property
    def _embedded(self) -> dict[str, Size]:
        sizes = {}
        for model in self.study.models.values():
            if model.source == "embedded":
                words = {word for task in model.mixture for word in self.specs[task].words()}
                sizes[model.name] = Size.embedded(model.embedded, len(words))
        return sizes

    @cached_property
    def _length(self) -> dict[str, int]:
        return {task: ceil(SUBWORDS * longest_text(spec)) for task, spec in self.specs.items()}
