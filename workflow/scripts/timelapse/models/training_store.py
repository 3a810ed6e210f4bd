"""Trainings in the store: what they have reached outlives the process that trains.

A training has one folder there, named after all that its numbers depend on. Several processes may
train the same at once, in two studies or on two nodes: equal inputs give equal bytes, so that a
checkpoint or state of either serves both. Each is written beside the folder, under a name of its
own, and renamed into it; what is there already stays. Whoever finishes removes the folder, so that
all may vanish at any time: it is then made anew. No locks are used.
"""

import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from timelapse.files.shared_folders import PART, TAKEN, make_folder, now, remove_abandoned
from timelapse.models.device import rounding
from timelapse.paths import step_folder
from timelapse.provenance import fingerprint
from timelapse.steps import step_name

FOLDER = "training"
"""Where a study's store keeps trainings."""
FORGOTTEN = 30 * 86400.0
"""Seconds after which a training that nobody has gone on with is removed."""


def training_key(files: Iterable[Path], values: object) -> str:
    """What a training is filed under: a digest of all that its numbers depend on.

    The device counts as it is set up by then, see `device.Device.for_training`.

    Args:
        files: what it reads.
        values: its other inputs, its code included.
    """
    device = rounding("cuda" if torch.cuda.is_available() else "cpu")
    return fingerprint(files, [values, torch.get_num_threads(), device])


class TrainingFolder:
    """The folder of a training in the store.

    Args:
        store: the study's store.
        name: of the run or model, for people who look there.
        key: of the training, see `training_key`.
    """

    def __init__(self, store: Path, name: str, key: str) -> None:
        self.trainings = store / FOLDER
        self.path = self.trainings / f"{name}-{key}"

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return step_folder(self.path, step)

    def state(self, step: int) -> Path:
        """Where the state of a step lies."""
        return self.path / f"state-{step_name(step)}"

    def newest_step(self) -> int:
        """The last step of which there is a state; -1 if there is none."""
        return max(self._states(), default=-1)

    def remove_states_before(self, step: int) -> None:
        """Remove the states of earlier steps."""
        for earlier in self._states():
            if earlier < step:
                self._remove(self.state(earlier))

    @contextmanager
    def added(self, target: Path) -> Iterator[Path]:
        """A new folder to write to, which becomes `target` in this folder when that is done.

        If another process has been faster, its `target` stays.
        """
        make_folder(self.trainings)
        new = self._passing(target)
        new.mkdir()
        try:
            yield new
            while not _is_moved(new, target):
                make_folder(self.path)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def remove(self) -> None:
        """Remove the whole folder: the training has ended, or something in it is damaged."""
        self._remove(self.path)

    def finish(self) -> None:
        """Remove the folder, and what killed processes have left in the store for long."""
        with suppress(OSError):
            self.remove()
            for folder in (self.trainings.parent, self.trainings):
                remove_abandoned(folder)
            for folder in self.trainings.iterdir():
                if not folder.name.startswith(".") and _is_forgotten(folder):
                    self._remove(folder)

    def _states(self) -> list[int]:
        with suppress(FileNotFoundError):
            names = (path.name for path in self.path.iterdir())
            return [int(name.removeprefix("state-")) for name in names if name.startswith("state-")]
        return []

    def _passing(self, folder: Path) -> Path:
        """A name for a folder while it is written or removed, where nobody removes it."""
        return self.trainings / f".{folder.name}.{uuid.uuid4().hex}{PART}"

    def _remove(self, folder: Path) -> None:
        """Remove a folder so that a kill meanwhile leaves it whole or gone, never in part.

        Somebody else may remove it at the same time, and a file that is open somewhere may stay
        for a while on a network file system: neither is an error.
        """
        passing = self._passing(folder)
        with suppress(FileNotFoundError):
            folder.rename(passing)
        shutil.rmtree(passing, ignore_errors=True)


def _is_moved(new: Path, target: Path) -> bool:
    """Rename a new folder to `target` unless there is one; False if the folder above is gone."""
    try:
        new.rename(target)
    except FileNotFoundError:
        if new.is_dir():
            return False
        # A server that has lost its answer is asked a second time, and then misses the source.
        if not target.is_dir():
            raise
    except OSError as error:
        if error.errno not in TAKEN:
            raise
    return True


def _is_forgotten(training: Path) -> bool:
    try:
        return now(training.parent) - training.stat().st_mtime > FORGOTTEN
    except FileNotFoundError:
        return False
