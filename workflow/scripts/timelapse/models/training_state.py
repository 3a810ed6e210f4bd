"""The state that a killed training goes on from: what it holds, when it is written, how it is read.

It is safetensors and JSON, never a pickle: the optimiser's moments, the generators, the rows of the
training table, and the weights unless the checkpoint of the same step holds them.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.optimizer import AcceleratedOptimizer
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from timelapse.errors import UserError
from timelapse.files.shared_folders import settle
from timelapse.models.checkpoints import verify, write_checkpoint, write_checksums
from timelapse.models.loading import load_model
from timelapse.models.training_store import TrainingFolder

INTERVAL = 300.0
"""Seconds between two states."""
INTERVAL_AT_CHECKPOINTS = 60.0
"""The same where a checkpoint has just been kept, so that the weights need no second writing."""
SHARE = 0.05
"""Largest share of the time that may go into writing states."""

WEIGHTS = "model"
"""The folder in a state that holds the weights, if no kept checkpoint does."""
_log = logging.getLogger(__name__)


class StateTimer:
    """Says when a state is due: by time, so that steps of any length lose about as much by a kill.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._last, self._cost = clock, clock(), 0.0

    def is_due(self, weights_are_kept: bool) -> bool:
        """Whether the state is to be written now.

        Args:
            weights_are_kept: whether a checkpoint of this step has just been written.
        """
        interval = INTERVAL_AT_CHECKPOINTS if weights_are_kept else INTERVAL
        return self._clock() - self._last >= max(interval, self._cost / SHARE)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Measures how long a state takes."""
        start = self._clock()
        yield
        self._last = self._clock()
        self._cost = self._last - start


@dataclass
class TrainingState:
    """How far a training has come.

    Attributes:
        step: optimiser steps that are done.
        rows: the training table up to there.
        generators: the states of torch's generators, by device; empty at the start.
    """

    step: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    generators: dict[str, torch.Tensor] = field(default_factory=dict)

    def set_generators(self) -> None:
        """Let torch's generators go on where they were."""
        for name, value in self.generators.items():
            device, _, number = name.partition(".")
            if device == "cpu":
                torch.set_rng_state(value)
            elif int(number) < torch.cuda.device_count():
                torch.cuda.set_rng_state(value, int(number))


def write_state(
    folder: TrainingFolder,
    state: TrainingState,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    optimizer: AcceleratedOptimizer,
    with_weights: bool,
) -> None:
    """Write the state of a training, unless a process that trains the same has come as far.

    Args:
        folder: the training's folder.
        state: how far it has come.
        model: its model.
        tokenizer: the model's.
        optimizer: its optimiser.
        with_weights: whether no checkpoint of this step has been kept.
    """
    if folder.newest_step() >= state.step:
        return
    moments = optimizer.state_dict()["state"]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    generators = {"cpu": torch.get_rng_state()}
    generators |= {f"cuda.{device}": value for device, value in enumerate(cuda)}
    with folder.added(folder.state(state.step)) as new:
        if with_weights:
            write_checkpoint(model, tokenizer, new / WEIGHTS)
        save_file(
            {
                f"{number}.{name}": value
                for number, values in moments.items()
                for name, value in values.items()
            },
            new / "optimizer.safetensors",
        )
        save_file(generators, new / "generators.safetensors")
        (new / "rows.json").write_text(json.dumps(state.rows), encoding="utf-8")
        write_checksums(new)
        settle(new)
    folder.remove_states_before(state.step)


def resume(
    folder: TrainingFolder,
    checkpoints: Sequence[int],
    model: PreTrainedModel,
    optimizer: AcceleratedOptimizer,
    keep: Callable[[int, Path], None],
) -> TrainingState:
    """Bring a model and its optimiser to the newest state of a training.

    All that it consists of, kept checkpoints included, is verified first. If something is damaged
    or missing, the log says so and the training starts over.

    Args:
        folder: the training's folder.
        checkpoints: the steps that are kept.
        model: is given the state's weights.
        optimizer: is given its moments.
        keep: takes the checkpoints that have been kept until then.

    Returns:
        the state; that of a start if there is none.
    """
    while (newest_step := folder.newest_step()) >= 0:
        newest = folder.state(newest_step)
        try:
            state, moments = _read(newest, newest_step)
            for step in checkpoints:
                if step <= state.step:
                    checkpoint = folder.checkpoint(step)
                    verify(checkpoint, required=True)
                    keep(step, checkpoint)
            weights = newest / WEIGHTS
            if not weights.is_dir():
                weights = folder.checkpoint(state.step)
            verify(weights, required=True)
            model.load_state_dict(load_model(weights, "cpu").state_dict())
        except (UserError, FileNotFoundError) as error:
            # Otherwise another process has written a newer state meanwhile, or has finished.
            if newest.is_dir():
                _log.warning("%s; the training starts over", str(error).split(". ")[0])
                folder.remove()
            continue
        # The optimiser's settings are those of the recipe, which has not changed.
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
        _log.info("going on from step %d", state.step)
        return state
    return TrainingState()


def _read(folder: Path, step: int) -> tuple[TrainingState, dict[int, dict[str, torch.Tensor]]]:
    """A state, and the optimiser's moments by the number of the parameter and their name.

    Raises:
        UserError: it is damaged.
        FileNotFoundError: it has been removed meanwhile.
    """
    verify(folder, required=True)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        number, name = key.split(".", 1)
        moments.setdefault(int(number), {})[name] = value
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    return TrainingState(step, rows, load_file(folder / "generators.safetensors")), moments
