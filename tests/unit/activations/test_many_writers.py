"""One cache directory, many processes on several hosts, some of them killed: all read the truth."""

import multiprocessing
import os
import random
import signal
import socket
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import torch

from timelapse.activations.cache import ActivationCache
from timelapse.activations.cache_directory import CacheDirectory
from timelapse.files import shared_folders

FORK = multiprocessing.get_context("fork")
KEYS = [f"{number * 37 % 256:02x}{number}" for number in range(40)]
SIZE = 2_000
CAP = 25 * 4 * SIZE
"""Room for about 25 of 40 files: something is always being evicted."""
ROUNDS = 150
WORKERS, KILLED = 6, 3


def content(key: str) -> torch.Tensor:
    return torch.full((SIZE,), float(KEYS.index(key)))


def work(folder: Path, number: int, rounds: Synchronized) -> None:
    """Look files up and write those that are missing; count what has been done."""
    socket.gethostname = lambda: f"node{number % 3}"
    cache, draw = ActivationCache(CacheDirectory(folder, CAP)), random.Random(number)
    for _ in range(ROUNDS):
        key = draw.choice(KEYS)
        found = cache.get(key, {"value"})
        cache.directory.count(bool(found))
        if found:
            assert torch.equal(found["value"], content(key)), key
        else:
            cache.put(key, {"value": content(key)})
        with rounds.get_lock():
            rounds.value += 1


def test_many_writers_and_readers_on_several_hosts_while_some_are_killed(tmp_path: Path) -> None:
    folder, rounds = tmp_path / "activations", FORK.Value("i", 0)
    processes = [
        FORK.Process(target=work, args=(folder, number, FORK.Value("i", 0)), daemon=True)
        for number in range(WORKERS - KILLED)
    ]
    victims = [
        FORK.Process(target=work, args=(folder, WORKERS + number, rounds), daemon=True)
        for number in range(KILLED)
    ]
    for process in [*processes, *victims]:
        process.start()
    for number, victim in enumerate(victims):
        wait_for(rounds, 30 * (number + 1))
        os.kill(victim.pid, signal.SIGKILL)
        victim.join(60)
        assert victim.exitcode == -signal.SIGKILL
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)

    cache = ActivationCache(CacheDirectory(folder, CAP))
    held = [key for key in KEYS if cache.names(key)]
    assert held
    for key in held:
        assert torch.equal(cache.get(key, {"value"})["value"], content(key)), key
    largest = max(path.stat().st_size for path in folder.glob("??/*.safetensors"))
    assert largest > CAP / 100
    assert cache.directory.contents().bytes <= CAP + WORKERS * largest

    then = time.time() - shared_folders.ABANDONED - 60
    for left in tmp_path.rglob(".*"):
        os.utime(left, (then, then))
    CacheDirectory(folder, CAP).add("last", "n", b"content")
    assert not list(tmp_path.rglob(".*"))
    counted = {file.name.partition(".")[2] for file in (folder / "counts").iterdir()}
    assert counted <= {"node0", "node1", "node2"}


def wait_for(rounds: Synchronized, wanted: int) -> None:
    """Until the victims have done so much, together."""
    deadline = time.monotonic() + 120
    while rounds.value < wanted and time.monotonic() < deadline:
        time.sleep(0.001)
    assert rounds.value >= wanted
