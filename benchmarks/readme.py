"""Bring what the README shows of the default study up to date from a finished run.

    python benchmarks/readme.py [PROJECT]

PROJECT is the folder whose results/ holds the run, this one if left out; after
`benchmarks/study.py --folder NEW` it is NEW. The answer that `benchmarks/study.json` has must be
the run's.
"""

import json
import re
import shutil
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN = "results/runs/two_to_three"
PICTURES = ("figures/win_rate.png", "ioi3/figures/circuit_first_last.png", "ioi3/figures/head.gif")


def main() -> None:
    project = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    answer = (project / RUN / "summary.md").read_text().split("\n\n")[1]
    recorded = json.loads((ROOT / "benchmarks" / "study.json").read_text())
    assert (recorded["after"] or {}).get("answer") == answer, "study.json is of another run"
    for picture in PICTURES:
        shutil.copy2(project / RUN / picture, ROOT / "docs" / Path(picture).name)
    quoted = textwrap.fill(
        answer, width=120, initial_indent="> ", subsequent_indent="> ", break_on_hyphens=False
    )
    readme = ROOT / "README.md"
    text, n = re.subn(
        r"(?m)^> .*\n(?:> .*\n)*", quoted.replace("\\", r"\\") + "\n", readme.read_text()
    )
    assert n == 1, f"the README has {n} quotations"
    readme.write_text(text)


if __name__ == "__main__":
    main()
