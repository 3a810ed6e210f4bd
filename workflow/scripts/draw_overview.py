"""Rules draw_overview and draw_task_overview: a picture over all steps of a run."""

from pathlib import Path

from job import start, without_pandas


def main(smk):
    without_pandas()
    from timelapse.figures.figure_tables import InputTables
    from timelapse.figures.images import write_png
    from timelapse.figures.options import MetricWords
    from timelapse.figures.overviews.overview import draw_overview
    from timelapse.figures.overviews.registry import overview_named

    picture = draw_overview(
        overview_named(smk.wildcards.overview),
        InputTables(map(Path, smk.input.tables), smk.params.job["steps"]),
        smk.wildcards.run,
        smk.wildcards.get("task"),
        smk.params.job["options"],
        MetricWords(**smk.params.job["metric"]),
    )
    write_png(picture, Path(smk.output[0]))


if "snakemake" in globals():
    start(main, snakemake)
