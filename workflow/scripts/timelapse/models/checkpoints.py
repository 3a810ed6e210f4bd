"""Checkpoint folders: written whole or not at all, with checksums, and given a second name.

The checksums lie in a file beside what they are of, and are verified whenever such a folder or a
training state is read. Folders from elsewhere have none and are taken as they are. Free of torch.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import xxhash

from timelapse.errors import UserError
from timelapse.files.shared_folders import make_folder, settle

FILE = "checksums.json"
WEIGHTS = ".safetensors"
_REMEDY = "Delete the folder and run again; if you changed it on purpose, delete its checksums.json"


@runtime_checkable
class Savable(Protocol):
    """A model or tokenizer of transformers."""

    def save_pretrained(self, save_directory: Any) -> Any:
        """Write it to a folder."""


def save_checkpoint(model: Savable, tokenizer: Savable, folder: Path) -> None:
    """Write a checkpoint whole or not at all, in place of what lies there.

    Args:
        model: the model.
        tokenizer: the model's.
        folder: the folder to write.
    """
    make_folder(folder.parent)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    write_checkpoint(model, tokenizer, part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def write_checkpoint(model: Savable, tokenizer: Savable, folder: Path) -> None:
    """Write a Hugging Face folder (config, safetensors, tokenizer) with checksums, and sync it.

    Args:
        model: the model.
        tokenizer: the model's.
        folder: an empty folder, or one that is not there yet.
    """
    from transformers.utils import logging  # imported already by whoever has a model

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_checksums(folder)
    settle(folder)


def publish(source: Path, target: Path) -> None:
    """Give a checkpoint folder a second name: hard links, or copies across file systems.

    Args:
        source: the folder.
        target: a folder, made if it is missing; files of the same names there are replaced.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        destination = target / file.name
        destination.unlink(missing_ok=True)
        try:
            os.link(file, destination)
        except OSError:
            shutil.copy2(file, destination)


def write_checksums(folder: Path) -> None:
    """Write the checksums of all files of a folder into its `checksums.json`."""
    found = {path.name: digest(path) for path in _files(folder)}
    (folder / FILE).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def checksums(folder: Path) -> dict[str, str]:
    """The checksums of a folder's files by name, from `checksums.json` or else computed.

    Raises:
        UserError: the file of checksums is damaged.
    """
    if (folder / FILE).exists():
        return _read(folder)
    return {path.name: digest(path) for path in _files(folder)}


def verify(
    folder: Path, of: Callable[[str], bool] = lambda name: True, required: bool = False
) -> None:
    """Compare the files of a folder with its `checksums.json`, if it has one.

    Args:
        folder: a model folder, or a training's state.
        of: whether a file, given by its name, is verified.
        required: whether the folder must have a `checksums.json`.

    Raises:
        UserError: a file is missing or damaged, or one of weights is not among those written.
    """
    if not required and not (folder / FILE).exists():
        return
    written = _read(folder)
    for name in filter(of, written):
        try:
            sound = digest(folder / name) == written[name]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            problem = f"the file cannot be read ({reason})"
            raise UserError(folder / name, "", problem, _REMEDY) from error
        if not sound:
            problem = "the file is damaged (its checksum is not the one that was written)"
            raise UserError(folder / name, "", problem, _REMEDY)
    for path in _files(folder):
        if path.suffix == WEIGHTS and path.name not in written and of(path.name):
            problem = f"this file does not belong to the model ({FILE} does not name it)"
            raise UserError(path, "", problem, _REMEDY)


def _read(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not all(
        Path(name).name == name and isinstance(value, str) for name, value in found.items()
    ):
        raise UserError(folder / FILE, "", "the checksums are damaged or missing", _REMEDY)
    return found


def _files(folder: Path) -> list[Path]:
    """The files that belong to a folder; hidden ones are others' notes."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name != FILE and not path.name.startswith(".")
    )


def digest(path: Path) -> str:
    """The XXH3 checksum of a file; a file that has not been touched since is not read again.

    It finds damage, not intent, twenty times faster than a cryptographic one: weights are hashed
    when they are written and by every job that loads them.
    """
    found = path.stat()
    return _digest(path, found.st_ino, found.st_size, found.st_mtime_ns)


@cache
def _digest(path: Path, *_: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
