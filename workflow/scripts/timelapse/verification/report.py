"""What is damaged, in a line each, and the commands that make it again."""

from collections.abc import Collection
from pathlib import Path

from timelapse.verification.commands import Command, mending
from timelapse.verification.results import Verified


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
    parts = path.parts
    return parts[parts.index("runs") + 1] if "runs" in parts[:-1] else ""
