"""All files under a study's results, and which of them are damaged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from timelapse.verification.files import fault_of
from timelapse.verification.layout import is_result


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
        if not is_result(path, results):
            unknown.append(path)
            continue
        looked_at += 1
        run = path.relative_to(results).parts[1:2]
        problem = fault_of(path, frames.get(run[0]) if run else None)
        if problem:
            damages.append(Damage(path, problem))
    return Verified(looked_at, tuple(damages), tuple(unknown))


def results_in(folder: Path) -> Iterator[Path]:
    """Files and model folders, sorted; what is hidden is Snakemake's own."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        if path.is_dir() and folder.name not in ("models", "checkpoints"):
            yield from results_in(path)
        else:
            yield path
