"""Rules draw_film and draw_frame: one kind of figure as pictures and a film over the steps."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.figures.films.film import open_scene
    from timelapse.figures.images import write_gif, write_png

    scene = open_scene(
        smk.wildcards.figure,
        [Path(path) for path in smk.input.tables],
        [Path(path) for path in smk.input.win_rates],
        run=smk.params.run,
        task=smk.params.task,
        options=smk.params.options,
        extra_tables=by_folder(map(Path, smk.input.get("extras", []))),
    )
    pictures = []
    for path in map(Path, smk.output):
        step = path.stem.removeprefix("step-")
        match path.suffix:
            case ".png":
                pictures.append(scene.draw(int(step)))
                write_png(pictures[-1], path)
            case ".svg":
                scene.write_svg(int(step), path)
            case ".json":
                scene.write_json(int(step), path)
            case ".gif":
                write_gif(pictures, path)


def by_folder(paths):
    """The files of each probe, by the name of their folder."""
    found = {}
    for path in paths:
        found.setdefault(path.parent.name, []).append(path)
    return found


if "snakemake" in globals():
    start(main, snakemake)
