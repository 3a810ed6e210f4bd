"""All files under a study's results, and which of them are damaged."""

import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timelapse.paths import parse, target_of
from timelapse.verification.file_checks import fault_of, is_result

MODEL_FOLDERS = ("model", "checkpoint")
"""Kinds of `paths.Location` that are looked at as a whole."""


@dataclass(frozen=True)
class Damage:
    """A file, or a model folder, that is not what was written."""

    path: Path
    problem: str


@dataclass(frozen=True)
class Verified:
    """What was looked at and what was found.

    Attributes:
        looked_at: how many files and model folders.
        damages: which of them are damaged.
        unknown: files that are not the workflow's, which are not looked at.
    """

    looked_at: int
    damages: tuple[Damage, ...]
    unknown: tuple[Path, ...] = ()


def verified(results: Path, frames: Mapping[str, int]) -> Verified:
    """Look at every file of the workflow under a folder.

    Args:
        results: the folder.
        frames: of each run how many frames its films have.
    """
    looked_at, damages, unknown = 0, [], []
    for path in results_in(results):
        if not is_result(path):
            unknown.append(path)
            continue
        looked_at += 1
        location = parse(path)
        run = location.run if location else None
        problem = fault_of(path, frames.get(run) if run else None)
        if problem:
            damages.append(Damage(path, problem))
    return Verified(looked_at, tuple(damages), tuple(unknown))


def results_in(folder: Path) -> Iterator[Path]:
    """Files and model folders, sorted; what is hidden is Snakemake's own."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        location = parse(path)
        if path.is_dir() and (location is None or location.kind not in MODEL_FOLDERS):
            yield from results_in(path)
        else:
            yield path


@dataclass(frozen=True)
class Command:
    """How Snakemake runs a study.

    Attributes:
        program: its name, or where it lies.
        configfiles: the config files laid over the study's own.
        config: what the command line, or a profile, says beside them.
    """

    program: str = "snakemake"
    configfiles: Sequence[str] = ()
    config: Mapping[str, object] = field(default_factory=dict)

    def line(self, targets: Sequence[Path]) -> str:
        """A line for the shell.

        The options take all words up to the next option, so targets stand before them.
        """
        words = [self.program, *map(str, targets)]
        if self.configfiles:
            words += ["--configfile", *self.configfiles]
        if self.config:
            words += ["--config", *(f"{key}={_text(one)}" for key, one in self.config.items())]
        return shlex.join(words)


def mending(damaged: Sequence[Path], snakemake: Command) -> list[str]:
    """Remove what is damaged, then ask for it by name.

    A damaged checkpoint is made again with all of its run, as exported circuits are.
    """
    targets = list(dict.fromkeys(map(target_of, damaged)))
    return [shlex.join(["rm", "-r", *map(str, targets)]), snakemake.line(targets)]


def _text(value: object) -> str:
    """A value as Snakemake's --config reads it.

    >>> _text(1e-4), _text("checkpoint"), _text({"cap_gb": 0})
    ('0.0001', 'checkpoint', '{"cap_gb": 0}')
    """
    if value is None:
        return ""
    return str(value) if isinstance(value, str | bool) else json.dumps(value)


def report(found: Verified, snakemake: Command, runs: Collection[str]) -> str:
    """The lines for the terminal.

    Args:
        found: what was found.
        snakemake: how the study is run.
        runs: the study's runs; no rule of the study makes the files of others.
    """
    lines = [f"{path}: no file of this workflow, not looked at" for path in found.unknown]
    lines += [f"{damage.path}: {damage.problem}" for damage in found.damages]
    if not found.damages:
        lines.append(f"{found.looked_at:,} files and model folders, all as they were written")
        return "\n".join(lines) + "\n"
    lines.append(
        f"{len(found.damages):,} of {found.looked_at:,} files and model folders are damaged"
    )
    own = [damage.path for damage in found.damages if _run_of(damage.path) in ("", *runs)]
    if own:
        lines.append("These commands make them again:")
        lines += [f"    {command}" for command in mending(own, snakemake)]
    for run in sorted({_run_of(damage.path) for damage in found.damages}.difference(("", *runs))):
        lines.append(f"{run} is no run of this study: give --configfile of the one that made it")
    return "\n".join(lines) + "\n"


def _run_of(path: Path) -> str:
    """The run that a file is of; nothing for what runs share."""
    location = parse(path)
    return (location.run if location else None) or ""
