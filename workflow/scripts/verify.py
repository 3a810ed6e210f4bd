"""Rule verify: every file under results/ is looked at; what is damaged is told, and what to do."""

import sys
from pathlib import Path

from job import start, without_pandas


def main(smk):
    without_pandas()
    from timelapse.verification.report import Command, report, verified

    found = verified(Path("results"), smk.params.frames)
    program = Path(sys.executable).with_name("snakemake")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    snakemake = Command(str(program), smk.params.configfiles, smk.params.config)
    print(report(found, snakemake, smk.params.frames), end="")
    if found.damages:
        sys.exit(1)


if "snakemake" in globals():
    start(main, snakemake)
