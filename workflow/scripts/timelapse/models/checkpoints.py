"""Checkpoint folders: written whole or not at all, and given a second name."""

import os
import shutil
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from timelapse.files.shared_folders import make_folder, settle
from timelapse.models.checksums import write_checksums


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
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


def write_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write a Hugging Face folder (config, safetensors, tokenizer) with checksums, and sync it.

    Args:
        model: the model.
        tokenizer: the model's.
        folder: an empty folder, or one that is not there yet.
    """
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
