"""Rule draw_win_rate: the win rates of a run on all its tasks over the steps."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.figures.pixels import write_png
    from timelapse.figures.win_rate import draw_win_rates

    tables = {task: [] for task in smk.params.tasks}
    for path in map(Path, smk.input.tables):
        tables[path.parents[1].name].append(path)
    write_png(draw_win_rates(tables, smk.wildcards.run), Path(smk.output[0]))


if "snakemake" in globals():
    start(main, snakemake)
