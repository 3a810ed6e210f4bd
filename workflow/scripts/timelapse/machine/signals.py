"""A job that is asked to end leaves what it works on in order.

Slurm sends SIGTERM some seconds ahead of SIGKILL, at a time limit too, and so do most that stop
jobs. By default it ends a process on the spot, without a word to anybody.
"""

import signal
import sys


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as `sys.exit` does, so that its context managers are left."""
    signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not disturb the tidying up
    sys.exit(128 + number)
