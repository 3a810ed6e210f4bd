"""The jobs that measure a run's checkpoints on a task: one for all of them, or one for each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from timelapse.study.run import Run, step_name


@dataclass(frozen=True)
class Jobs:
    """What differs between the rules of a run's checkpoints together and of each by itself.

    Attributes:
        run: the run.
        task: the task that its checkpoints are measured on.
        steps: the steps that are measured.
        each: whether every step has a job of its own; `{step}` then stands for it in paths.
    """

    run: Run
    task: str
    steps: tuple[int, ...]
    each: bool

    def at(self, steps: Iterable[int]) -> "Jobs":
        """The jobs of some of the steps."""
        return replace(self, steps=tuple(steps))

    @property
    def name(self) -> str:
        """What the names of their rules end with; no run or task has a hyphen in its name."""
        return f"{self.run.name}-{self.task}" + ("-checkpoint" if self.each else "")

    @property
    def said(self) -> str:
        """What is measured, for messages."""
        named = f"run {self.run.name} on {self.task}"
        return f"step {{wildcards.step}} of {named}" if self.each else named

    @property
    def constraint(self) -> str:
        """What `{step}` may stand for."""
        return "|".join(map(step_name, self.steps))

    @property
    def checkpoints(self) -> list[str]:
        """The folders of the checkpoints of a job."""
        return [self.run.checkpoint(name) for name in self._names]

    def tables(self, probe: str) -> list[str]:
        """The tables of a job."""
        return [self.run.table(probe, self.task, name) for name in self._names]

    def whole_patterns(self, probes: Mapping[str, Any]) -> dict[str, list[str]]:
        """The tables of whole attention patterns, if a study's probes name heads."""
        named = probes["attention"]["heads"]
        return {"attention_pattern": self.tables("attention_pattern")} if named else {}

    def edges_by_position(self, probes: Mapping[str, Any]) -> dict[str, list[str]]:
        """The tables of edge scores by position, if a study's probes ask for them."""
        wanted = probes["edges"]["positions"]
        return {"edges_by_position": self.tables("edges_by_position")} if wanted else {}

    def log(self, script: str) -> str:
        """The log of a job."""
        own = "-step-{step}" if self.each else ""
        return f"logs/{script}/{self.run.name}-{self.task}{own}.log"

    @property
    def _names(self) -> list[str]:
        return ["{step}"] if self.each else [step_name(step) for step in self.steps]
