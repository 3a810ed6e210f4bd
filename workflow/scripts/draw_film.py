"""Rules draw_film and draw_frame: a film with its frames beside it, or one frame by name."""

from pathlib import Path

from job import start, without_pandas


def main(smk):
    without_pandas()
    from timelapse.figures.figure_tables import InputTables
    from timelapse.figures.films.film import FilmRenderer
    from timelapse.figures.films.registry import film_named
    from timelapse.figures.images import write_gif
    from timelapse.figures.options import MetricWords
    from timelapse.steps import step_name

    film = film_named(smk.wildcards.film)
    renderer = FilmRenderer(
        film,
        InputTables(map(Path, smk.input.tables), smk.params.job["steps"]),
        smk.wildcards.run,
        smk.wildcards.task,
        smk.params.job["options"],
        MetricWords(**smk.params.job["metric"]),
    )
    output = Path(smk.output[0])
    if output.suffix != ".gif":
        renderer.write_frame(int(smk.wildcards.step), output)
        return
    folder = output.with_suffix("")
    folder.mkdir(exist_ok=True)
    pictures, written = [], set()
    for step in smk.params.job["steps"]:
        pictures.append(renderer.draw(step))
        for suffix in film.suffixes:
            frame = folder / f"step-{step_name(step)}.{suffix}"
            unfinished = frame.with_name(f".{frame.name}")
            renderer.write_frame(step, unfinished, pictures[-1])
            unfinished.replace(frame)
            written.add(frame)
    for frame in set(folder.glob("step-??????.*")) - written:
        frame.unlink()
    write_gif(pictures, output)


if "snakemake" in globals():
    start(main, snakemake)
