"""What the test's own Slurm does to the machine, judged without one."""

import shutil
import socket
import subprocess
from pathlib import Path

import cluster
import pytest
from cluster import (
    HOSTS_NOTE,
    PROGRAMS,
    STATE,
    address_of,
    name_led_home,
    refuse_another_slurm,
    running_cluster,
)

INSTALL = Path(__file__).with_name("install.sh")


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /etc/slurm/slurm.conf."""
    monkeypatch.setattr(cluster, "LINK", tmp_path / "slurm.conf")
    return tmp_path / "slurm.conf"


@pytest.mark.parametrize("target", ["/shared/slurm/slurm.conf", "/tmp/slurm.conf", None])
def test_the_configuration_of_another_slurm_is_left_alone(link: Path, target: str | None) -> None:
    if target:
        link.symlink_to(target)
    else:
        link.touch()
    with pytest.raises(RuntimeError, match="another Slurm"), running_cluster():
        pytest.fail("it has started")
    if target:
        assert str(link.readlink()) == target
    else:
        assert link.read_text() == ""


def test_what_a_killed_test_has_left_is_no_other_slurm(
    link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link.symlink_to(f"{STATE}ab_12/slurm.conf")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(cluster, "PORT", unused.getsockname()[1])
        refuse_another_slurm()


def test_no_slurm_is_started_beside_one_that_runs(
    link: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        monkeypatch.setattr(cluster, "PORT", used.getsockname()[1])
        with pytest.raises(RuntimeError, match="is taken"):
            refuse_another_slurm()


HOME = "127.0.0.1 localhost\n"


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /etc/hosts, with names that are looked up there alone."""
    file = tmp_path / "hosts"

    def look_up(name: str) -> str:
        for line in file.read_text().splitlines():
            address, *names = line.partition("#")[0].split()
            if name in names:
                return address
        raise OSError(name)

    monkeypatch.setattr(cluster, "HOSTS", file)
    monkeypatch.setattr("socket.gethostbyname", look_up)
    return file


@pytest.mark.parametrize("before", [HOME, f"{HOME}172.17.0.2 box\n"])
def test_a_machine_whose_name_leads_elsewhere_is_led_home_and_back(
    hosts: Path, before: str
) -> None:
    hosts.write_text(before)
    with pytest.raises(ZeroDivisionError), name_led_home("box"):
        assert address_of("box") == "127.0.0.1"
        hosts.write_text(f"{hosts.read_text()}10.0.0.1 new\n")
        _ = 1 / 0
    assert hosts.read_text() == f"{before}10.0.0.1 new\n"


def test_hosts_are_not_touched_where_the_name_leads_home(hosts: Path) -> None:
    hosts.write_text(f"{HOME}127.0.1.1 box\n")
    before = hosts.stat().st_mtime_ns
    with name_led_home("box"):
        assert hosts.read_text() == f"{HOME}127.0.1.1 box\n"
    assert hosts.stat().st_mtime_ns == before


def test_a_line_that_a_killed_test_has_left_goes_with_the_next(hosts: Path) -> None:
    hosts.write_text(f"127.0.0.1 box {HOSTS_NOTE}\n{HOME}")
    with name_led_home("box"):
        assert address_of("box") == "127.0.0.1"
    assert hosts.read_text() == HOME


@pytest.mark.parametrize("absent", [None, *PROGRAMS])
def test_slurm_counts_as_installed_only_with_every_program(
    tmp_path: Path, absent: str | None
) -> None:
    """As a user who may install nothing, and is told so."""
    for name in PROGRAMS:
        if name != absent:
            (tmp_path / name).write_text("")
            (tmp_path / name).chmod(0o755)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, str(INSTALL)], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr
    assert ("Slurm is not installed" in done.stdout) == (absent is not None)
