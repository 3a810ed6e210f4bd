"""The test's own Slurm: it ends with the test, however that goes."""

from pathlib import Path

import pytest
from cluster import LINK, running_cluster, wait_until

pytestmark = pytest.mark.slurm


def test_no_job_and_no_daemon_outlives_a_failed_test(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), running_cluster() as cluster:
        started = tmp_path / "started"
        script = f"echo $$ > {started}.new; mv {started}.new {started}; sleep 1000"
        cluster.ask("sbatch", "--comment=rule_sleep", "--output=/dev/null", f"--wrap={script}")
        wait_until(started.exists, "the job", 30)
        assert _processes_that_mention(cluster.folder)
        _ = 1 / 0
    assert not _is_alive(int(started.read_text()))
    assert not _processes_that_mention(cluster.folder)
    assert not cluster.folder.exists()
    assert not LINK.is_symlink()


def _is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_text() != ""
    except OSError:
        return False


def _processes_that_mention(folder: Path) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_text())
        except OSError:
            continue
    return [command for command in found if str(folder) in command]
