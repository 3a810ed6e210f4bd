"""Tests that act as somebody else, which only root can."""

import multiprocessing
import os
from collections.abc import Callable


def act_as(user: int, groups: list[int], act: Callable[..., None], *arguments: object) -> None:
    """Call a function in a process of this user's, who lets nobody else read new files."""

    def child() -> None:
        os.umask(0o077)
        os.setgroups(groups)
        os.setgid(user)
        os.setuid(user)
        act(*arguments)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 0
