"""How a rule's script starts: its log, its threads, its device, and what happens to errors."""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def start(main: Callable[[Any], None], smk: Any) -> None:
    """Run a rule's `main` on Snakemake's job object.

    Bad input (`UserError`) leaves its one message in the job's log, which the default profile
    shows; any other error leaves its traceback there. Either ends the process with exit code 1.
    """
    # A fifth of the time that importing torch and transformers takes goes to collecting no garbage.
    gc.set_threshold(1_000_000)
    from timelapse.errors import UserError

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["OMP_NUM_THREADS"] = str(smk.threads)
    # Threads that wait for each other by spinning are many times slower on a shared machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not smk.resources.get("gpu", 0):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:  # one device: with several, the Trainer would multiply the batch by their number
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    log = Path(smk.log[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=log, filemode="w", level=logging.INFO, format="%(message)s")
    logging.captureWarnings(True)
    try:
        main(smk)
    except UserError as error:
        log.write_text(f"{log.read_text()}error: {error}\n")
        sys.exit(1)
    except Exception:
        log.write_text(log.read_text() + traceback.format_exc())
        sys.exit(1)
