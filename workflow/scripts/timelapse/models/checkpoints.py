"""Checkpoint folders: where a step lies, and writing one whole or not at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from timelapse.files.shared_folders import make_folder, settle
from timelapse.models.checksums import write_checksums

GONE = ".gone"
"""What the name of a folder that is being removed ends in."""


def step_folder(checkpoints: Path, step: int) -> Path:
    """The folder of a step's checkpoint, e.g. `checkpoints/step-000008`."""
    return checkpoints / f"step-{step:06d}"


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write a Hugging Face folder (config, safetensors, tokenizer) with checksums, all at once."""
    make_folder(folder.parent)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    logging.disable_progress_bar()
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    write_checksums(part)
    settle(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def publish(source: Path, target: Path) -> None:
    """Give a stored checkpoint folder a second name: hard links, or copies across file systems."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        destination = target / file.name
        destination.unlink(missing_ok=True)
        try:
            os.link(file, destination)
        except OSError:
            shutil.copy2(file, destination)


def discard(folder: Path) -> None:
    """Remove a folder so that a kill meanwhile leaves it whole or gone, never in part.

    Somebody else may remove it at the same time, and a file that is open somewhere may stay for a
    while on a network file system: neither is an error.
    """
    gone = folder.with_name(folder.name + GONE)
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
