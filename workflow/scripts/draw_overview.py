"""Rule draw_overview: a picture over all steps of a run, on one task or on all of them."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.figures.images import write_png
    from timelapse.figures.overviews.overview import draw_overview

    picture = draw_overview(
        smk.params.overview,
        [Path(path) for path in smk.input.tables],
        run=smk.params.run,
        task=smk.wildcards.get("task"),
        options=smk.params.options,
    )
    write_png(picture, Path(smk.output[0]))


if "snakemake" in globals():
    start(main, snakemake)
