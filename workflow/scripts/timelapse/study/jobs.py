"""The jobs that measure a run's checkpoints on a task: all of them together, in parts, or each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from timelapse.steps import step_name
from timelapse.study.runs import Run

MOST_TOGETHER = 100
"""Checkpoints that a job measures at most, and up to which a run is no long one.

Snakemake compares every file that is asked for with all products of the rule that makes it. With a
thousand products to a rule, planning alone takes many minutes.
"""


@dataclass(frozen=True)
class Jobs:
    """What differs between the rules of a run's checkpoints together and of each by itself.

    Attributes:
        run: the run.
        task: the task that its checkpoints are measured on.
        steps: the steps that are measured.
        each: whether every step has a job of its own; `{step}` then stands for it in paths.
        part: which part of a long run it is, from 1; 0 if the run is measured as a whole.
    """

    run: Run
    task: str
    steps: tuple[int, ...]
    each: bool
    part: int = 0

    def at(self, steps: Iterable[int]) -> "Jobs":
        """The jobs of some of the steps."""
        return replace(self, steps=tuple(steps))

    @property
    def parts(self) -> list["Jobs"]:
        """The same in jobs of at most `MOST_TOGETHER` checkpoints, of about the same number."""
        if self.each or not self.long:
            return [self]
        n_steps = len(self.steps)
        n_parts = -(-n_steps // MOST_TOGETHER)
        ends = [n_steps * part // n_parts for part in range(n_parts + 1)]
        return [
            replace(self, steps=self.steps[start:end], part=part)
            for part, (start, end) in enumerate(pairwise(ends), start=1)
        ]

    @property
    def long(self) -> bool:
        """Whether the run keeps more checkpoints than a job measures."""
        return len(self.run.steps) > MOST_TOGETHER

    @property
    def name(self) -> str:
        """What the names of their rules end with; no run or task has a hyphen in its name."""
        end = "-checkpoint" if self.each else f"-part{self.part}" if self.part else ""
        return f"{self.run.name}-{self.task}{end}"

    @property
    def said(self) -> str:
        """What is measured, for messages."""
        named = f"run {self.run.name} on {self.task}"
        if self.each:
            return f"step {{wildcards.step}} of {named}"
        return f"part {self.part} of {named}" if self.part else named

    @property
    def constraint(self) -> str:
        """What `{step}` may stand for."""
        return "|".join(map(step_name, self.steps))

    @property
    def checkpoints(self) -> list[str]:
        """The folders of the checkpoints of a job."""
        return [self.run.checkpoint(name) for name in self._names]

    @property
    def measured(self) -> dict[str, str | list[str]]:
        """What a job's input says of what it measures: the folders of its checkpoints.

        Of a long run it is the training table, which is written after them: a thousand folders to
        each job would be most of the plan. `models.measured` then tells the folders by the tables.
        """
        if self.long:
            return {"training": self.run.training_table}
        return {"checkpoints": self.checkpoints}

    def tables(self, probe: str) -> list[str]:
        """The tables of a job."""
        return [self.run.table(probe, self.task, name) for name in self._names]

    def asked_for(self, probe: str) -> list[str]:
        """The tables that are asked for when no file is named: all of them.

        Of a part of a long run one stands for all, as a job writes all its tables or none; but if
        some are there and others not, it is those that are not.
        """
        tables = self.run.tables(probe, self.task, self.steps)
        if not self.part:
            return tables
        folder = Path(tables[0]).parent
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        missing = [table for table in tables if Path(table).name not in there]
        return missing if 0 < len(missing) < len(tables) else tables[:1]

    def whole_patterns(self, probes: Mapping[str, Any]) -> dict[str, list[str]]:
        """The tables of whole attention patterns, if a study's probes name heads."""
        named = probes["attention"].heads
        return {"attention_pattern": self.tables("attention_pattern")} if named else {}

    def edges_by_position(self, probes: Mapping[str, Any]) -> dict[str, list[str]]:
        """The tables of edge scores by position, if a study's probes ask for them."""
        wanted = probes["edges"].positions
        return {"edges_by_position": self.tables("edges_by_position")} if wanted else {}

    def log(self, script: str) -> str:
        """The log of a job."""
        own = "-step-{step}" if self.each else f"-part{self.part}" if self.part else ""
        return f"logs/{script}/{self.run.name}-{self.task}{own}.log"

    @property
    def _names(self) -> list[str]:
        return ["{step}"] if self.each else [step_name(step) for step in self.steps]
