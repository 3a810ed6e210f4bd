"""How a rule's script starts: its log, its threads, its device, and what happens to errors."""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any


def start(main: Callable[[Any], None], smk: Any) -> None:
    """Run a rule's `main` on Snakemake's job object.

    Bad input (`UserError`) leaves its one message in the job's log, which the default profile
    shows; any other error leaves its traceback there. Either ends the process with exit code 1.
    """
    # A fifth of the time that importing torch and transformers takes goes to collecting no garbage.
    gc.set_threshold(1_000_000)
    log = Path(smk.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=log, filemode="w", level=logging.INFO, format="%(message)s")
    logging.captureWarnings(True)
    try:
        _set_up(smk)
        main(smk)
    except KeyboardInterrupt:
        _leave(log, "interrupted\n")
        sys.exit(130)
    except Exception as error:
        from timelapse.errors import UserError
        from timelapse.machine.disks import disk_error

        written = [*smk.output, store()]
        told = error if isinstance(error, UserError) else disk_error(error, written)
        _leave(log, f"error: {told}\n" if told else traceback.format_exc())
        sys.exit(1)


def store() -> Path:
    """The study's folder for what must survive a killed job and what jobs share."""
    return Path(os.environ["TIMELAPSE_STORE"])


def cache_gb() -> float:
    """How large the activations in the store may get, in 10^9 bytes."""
    return float(os.environ["TIMELAPSE_CACHE_GB"])


def without_pandas() -> None:
    """Keep pyarrow from importing pandas where nothing uses it: a third of a light job's start."""
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _set_up(smk: Any) -> None:
    """What has to be said before torch is imported."""
    from timelapse.machine.gpus import choose_gpu
    from timelapse.machine.shutdown import end_on_sigterm, end_with_snakemake

    end_with_snakemake()
    end_on_sigterm()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["OMP_NUM_THREADS"] = str(smk.threads)
    # Threads that wait for each other by spinning are many times slower on a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    choose_gpu(wanted=bool(smk.resources.get("gpu", 0)))


def _leave(log: Path, text: str) -> None:
    """Append a text to the job's log, or show it where the log's disk is full."""
    try:
        with log.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        sys.stderr.write(text)
