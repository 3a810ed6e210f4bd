"""What is damaged, in a line each, and the commands that make it again."""

import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from timelapse.verification.results import Damage, Verified

_FRAME = re.compile(r"figures/\w+/step-\d+\.(png|svg|json)$")


def report(found: Verified, snakemake: str, runs: Collection[str]) -> str:
    """The lines for the terminal.

    Args:
        found: what was found.
        snakemake: the command that runs the study.
        runs: the study's runs; no rule of the study makes the files of others.
    """
    if not found.damages:
        return f"{found.looked_at:,} files and model folders, all as they were written\n"
    lines = [f"{damage.path}: {damage.problem}" for damage in found.damages]
    lines.append(
        f"{len(found.damages):,} of {found.looked_at:,} files and model folders are damaged"
    )
    own = [damage for damage in found.damages if _run_of(damage.path) in ("", *runs)]
    if own:
        lines.append("These commands make them again:")
        lines += [f"    {command}" for command in commands(own, snakemake)]
    for run in sorted({_run_of(damage.path) for damage in found.damages}.difference(("", *runs))):
        lines.append(f"{run} is no run of this study: give --configfile of the one that made it")
    return "\n".join(lines) + "\n"


def commands(damages: Sequence[Damage], snakemake: str) -> list[str]:
    """Remove what is damaged, then ask for it by name.

    Frames are asked for last and by themselves: another rule draws one frame than draws a whole
    film, and Snakemake takes one of both at a time.
    """
    frames = [damage.path for damage in damages if _FRAME.search(damage.path.as_posix())]
    others = [damage.path for damage in damages if damage.path not in frames]
    asked = [f"{snakemake} {_quoted(paths)}" for paths in (others, frames) if paths]
    return [f"rm -r {_quoted([damage.path for damage in damages])}", *asked]


def _run_of(path: Path) -> str:
    """The run that a file is of; nothing for what runs share."""
    parts = path.parts
    return parts[parts.index("runs") + 1] if "runs" in parts[:-1] else ""


def _quoted(paths: Sequence[Path]) -> str:
    return shlex.join(map(str, paths))
