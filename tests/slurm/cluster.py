"""A real Slurm on this machine, with the partitions cpu and gpu, for as long as it is needed.

The GPUs are stand-ins: Slurm allocates them and sets CUDA_VISIBLE_DEVICES, and no CUDA is there.
While it runs the machine's name leads to 127.0.0.1, if need be by a line in /etc/hosts.
`python tests/slurm/cluster.py` keeps one up until Ctrl-C.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PORT = 26817
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv")
# The only place that the plugin's job steps look at.
LINK = Path("/etc/slurm/slurm.conf")
STATE = "/tmp/timelapse-slurm-"
HOSTS = Path("/etc/hosts")
HOSTS_NOTE = "# for the Slurm of circuit-timelapse's tests"
NODES = ("cpu1", "gpu1")
# What Slurm says of a job at the moment it starts on its node: only then are its GPUs shown. Asked
# for a job array, it tells of all its tasks.
PROLOG = """\
#!/bin/sh
record={folder}/started/$SLURM_JOB_ID
/usr/bin/scontrol --oneliner --details show job $SLURM_JOB_ID |
    grep "^JobId=$SLURM_JOB_ID " > $record.new
mv $record.new $record
"""


@dataclass(frozen=True)
class Cluster:
    """A running Slurm; `folder` holds its configuration, state, logs and records."""

    folder: Path

    def ask(self, *command: str) -> str:
        """What a command of Slurm's prints."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    @property
    def is_ready(self) -> bool:
        states = self.ask("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
        return sorted(states) == [f"{node} idle" for node in NODES]

    def cancel_all(self) -> None:
        if jobs := self.ask("squeue", "--noheader", "--format=%A").split():
            self.ask("scancel", *jobs)
            wait_until(lambda: not self.ask("squeue", "--noheader"), "the end of all jobs", 60)


def why_not() -> str | None:
    """Why this machine can start no Slurm at all."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"no Slurm to test with: {', '.join(missing)} not found (tests/slurm/install.sh)"
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    return None


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start the daemons; end all jobs and daemons at the end, whatever happens meanwhile.

    Raises:
        RuntimeError: another Slurm is in the way, which is left alone.
    """
    refuse_another_slurm()
    with ExitStack() as to_undo:
        to_undo.enter_context(name_led_home(_host()))
        folder = Path(tempfile.mkdtemp(prefix=STATE))
        to_undo.callback(shutil.rmtree, folder, ignore_errors=True)
        to_undo.callback(_kill_jobs_of, folder)
        _configure(folder)
        LINK.parent.mkdir(exist_ok=True)
        LINK.unlink(missing_ok=True)
        LINK.symlink_to(folder / "slurm.conf")
        to_undo.callback(LINK.unlink)
        cluster = Cluster(folder)
        to_undo.enter_context(
            _daemon(
                *("munged", "--foreground", f"--socket={folder}/munge.socket"),
                *(f"--key-file={folder}/munge.key", f"--pid-file={folder}/munge.pid"),
                *(f"--log-file={folder}/log/munged.log", f"--seed-file={folder}/munge.seed"),
            )
        )
        wait_until((folder / "munge.socket").exists, "munged", 20)
        config = f"{folder}/slurm.conf"
        to_undo.enter_context(_daemon("slurmctld", "-D", "-f", config))
        for node in NODES:
            to_undo.enter_context(_daemon("slurmd", "-D", "-f", config, "-N", node))
        try:
            wait_until(lambda: cluster.is_ready, "the nodes", 60)
        except TimeoutError as error:
            for log in sorted((folder / "log").iterdir()):
                error.add_note(f"{log.name}: ... {log.read_text()[-2000:]}")
            raise
        to_undo.callback(cluster.cancel_all)
        yield cluster


def _kill_jobs_of(folder: Path) -> None:
    """Without cgroups, Slurm loses sight of what a cancelled job has left behind."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            conf = process.environ().get("SLURM_CONF")
            if conf == f"{folder}/slurm.conf" and process.pid != os.getpid():
                process.kill()


def wait_until(holds: Callable[[], object], what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
            error = None
        except RuntimeError as refused:
            error = refused
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}") from error
        time.sleep(0.2)


def refuse_another_slurm() -> None:
    """Raise an error if this machine has a Slurm that these tests have not made."""
    if os.path.lexists(LINK):
        own = LINK.is_symlink() and re.fullmatch(rf"{STATE}\w+/slurm\.conf", str(LINK.readlink()))
        if not own:
            raise RuntimeError(f"this machine belongs to another Slurm: {LINK}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            raise RuntimeError(f"port {PORT} is taken: does another Slurm of these tests run?")


def _host() -> str:
    return socket.gethostname().partition(".")[0]


@contextmanager
def name_led_home(host: str) -> Iterator[None]:
    """Let a name of this machine's lead to 127.0.0.1, where the daemons listen."""

    def others() -> str:
        lines = HOSTS.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if HOSTS_NOTE not in line)

    if HOSTS_NOTE in HOSTS.read_text():  # a killed test has left it
        HOSTS.write_text(others())
    if address_of(host).startswith("127."):
        yield
        return
    # Written in place: in a container the file is a mount.
    HOSTS.write_text(f"127.0.0.1 {host} {HOSTS_NOTE}\n{others()}")
    try:
        if not (address := address_of(host)).startswith("127."):
            raise RuntimeError(f"{host} leads to {address}, whatever {HOSTS} says")
        yield
    finally:
        HOSTS.write_text(others())


def address_of(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except OSError:
        return "nothing"


def _configure(folder: Path) -> None:
    folder.chmod(0o755)
    for name in ("state", "log", "started", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    values = {
        "host": _host(),
        "folder": folder,
        **{"port": PORT, "port_cpu": PORT + 1, "port_gpu": PORT + 2},
    }
    template = Path(__file__).with_name("slurm.conf").read_text()
    (folder / "slurm.conf").write_text(template.format(**values))
    # A stand-in for a GPU has to be a device.
    for number in (0, 1):
        (folder / f"nvidia{number}").symlink_to("/dev/null")
    gpus = f"AutoDetect=off\nNodeName=gpu1 Name=gpu File={folder}/nvidia[0-1]\n"
    (folder / "gres.conf").write_text(gpus)
    # Slurm 22.05 loads a cgroup plugin even if nothing uses it; this one needs no systemd.
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    (folder / "prolog").write_text(PROLOG.format(folder=folder))
    (folder / "prolog").chmod(0o755)
    (folder / "munge.key").touch(0o600)
    (folder / "munge.key").write_bytes(os.urandom(128))


@contextmanager
def _daemon(*command: str) -> Iterator[None]:
    """A daemon that ends with this block, and with this process even if that is killed."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    if reason := why_not():
        raise SystemExit(reason)
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt), running_cluster() as cluster:
            print(cluster.ask("sinfo"), end="")
            print(f"State and logs: {cluster.folder}. Ctrl-C stops it.", flush=True)
            signal.pause()
    except RuntimeError as refused:
        raise SystemExit(str(refused)) from None
