"""Rule summarise: a run in short, with its repeats with other seeds."""

from pathlib import Path

from job import start, without_pandas


def main(smk):
    without_pandas()
    from timelapse.circuits.summary import collect, summary_table
    from timelapse.circuits.summary_markdown import summary_text
    from timelapse.files.parquet import write

    job = smk.params.job
    runs = collect(job["task"], smk.input.comparisons, smk.input.heads, smk.input.win_rates)
    run = runs.pop(job["run"])
    write(summary_table([run, *runs.values()]), smk.output.table)
    Path(smk.output.text).write_text(summary_text(run, runs.values()), encoding="utf-8")


if "snakemake" in globals():
    start(main, snakemake)
