"""Copies of the workflow with a config of their own, and how Snakemake is called in them."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WATCHING = Path(__file__).parent / "watching"
HOUSE = ("Snakefile", "rules", "workflow", "tasks", "models", "profiles", "envs")
RUN = "results/runs/tiny"
CONFIG = """\
seed: 0
models:
  base:
    embedded:
      layers: 2
      heads: 2
      width: 16
      mixture: {ioi2: 2, ambiguous3: 1}
      steps: 6
      batch: 8
runs:
  tiny:
    model: base
    task: ioi3
    evaluate: [ioi2, ioi3]
    controls: [ambiguous3]
    steps: 4
    batch: 4
    learning_rate: 1e-3
    checkpoints: {every: 2}
probes:
  win_rate: {prompts: 12}
  logit_diff: {prompts: 6, batch: 4}
  patching: {prompts: 4}
  attention: {prompts: 6, batch: 4, heads: [a1.h0], examples: [0, 5]}
  head_roles: {prompts: 6, sequences: 6}
  logit_lens: {prompts: 5, batch: 4}
  edges: {prompts: 4, methods: [EAP-IG, node], ig_steps: 2, positions: true}
  faithfulness: {prompts: 4}
comparison: {edges: 20, prompts: 4, resamples: 20, splits: 4}
"""


@dataclass(frozen=True)
class Project:
    """A copy of the workflow with a config of its own."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def watched(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `snakemake`; what jobs connect to and unpickle is listed in the file `watched`."""
        watching = {"PYTHONPATH": str(WATCHING), "WATCHED": str(self.folder / "watched")}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=_environment() | watching,
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own; what it prints is `printed`."""
        with (self.folder / "printed").open("w") as printed:
            return subprocess.Popen(
                [sys.executable, "-m", "snakemake", *arguments],
                cwd=self.folder,
                env=_environment(),
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def wait_for(self, pattern: str, process: subprocess.Popen[str]) -> None:
        """Wait until a file of this pattern is there, as long as the process lives, for minutes."""
        deadline = time.monotonic() + 600
        while not any(self.folder.glob(pattern)):
            assert process.poll() is None, self.printed
            assert time.monotonic() < deadline, f"no {pattern} comes: {self.printed}"
            time.sleep(0.01)

    @property
    def printed(self) -> str:
        """What the Snakemake that was started last has printed."""
        return (self.folder / "printed").read_text()

    def copied_to(self, folder: Path) -> "Project":
        return Project(Path(shutil.copytree(self.folder, folder, symlinks=True)))

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run lists, without `all`."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        counts: dict[str, int] = {}
        lines = iter((done.stdout + done.stderr).splitlines())
        for line in lines:
            if line.startswith("Job stats"):
                next(lines), next(lines)
                for row in lines:
                    name, count = row.split()
                    if name == "total":
                        break
                    counts[name] = int(count)
                break
        counts.pop("all", None)
        return counts

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) >= 1, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))

    def flip(self, file: str) -> None:
        """Change one bit in the middle of a file."""
        path = self.folder / file
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def truncate(self, file: str) -> None:
        path = self.folder / file
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])

    def remove(self, file: str) -> None:
        path = self.folder / file
        assert path.exists(), file
        path.unlink()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def new_project(folder: Path, config: str = CONFIG) -> Project:
    for name in HOUSE:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "config.yaml").write_text(config)
    return Project(folder)
