"""Rules draw_film and draw_frame: a film over the steps and its frames, or one frame."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.figures.films.film import open_scene
    from timelapse.figures.films.registry import KINDS
    from timelapse.figures.images import write_gif, write_png

    job, output = smk.params.job, Path(smk.output[0])
    scene = open_scene(
        job["film"],
        [Path(path) for path in smk.input.tables],
        [Path(path) for path in smk.input.win_rates],
        run=job["run"],
        task=job["task"],
        options=job["options"],
        extra_tables=by_folder(map(Path, smk.input.get("extras", []))),
    )
    if output.suffix != ".gif":
        write_frame(scene, int(smk.wildcards.step), output)
        return
    frames = output.with_suffix("")
    frames.mkdir(exist_ok=True)
    suffixes = ("png", "svg", "json") if KINDS[job["film"]].is_graph else ("png",)
    pictures, written = [], set()
    for step in job["steps"]:
        pictures.append(scene.draw(step))
        for suffix in suffixes:
            frame = frames / f"step-{step:06d}.{suffix}"
            part = frame.with_name(f".{frame.name}")
            if suffix == "png":
                write_png(pictures[-1], part)
            elif suffix == "svg":
                scene.write_svg(step, part)
            else:
                scene.write_json(step, part)
            part.rename(frame)
            written.add(frame)
    for frame in set(frames.glob("step-??????.*")) - written:
        frame.unlink()
    write_gif(pictures, output)


def write_frame(scene, step, path):
    """Write one step as the kind of file that its name says."""
    from timelapse.figures.images import write_png

    match path.suffix:
        case ".png":
            write_png(scene.draw(step), path)
        case ".svg":
            scene.write_svg(step, path)
        case ".json":
            scene.write_json(step, path)


def by_folder(paths):
    """The files of each probe, by the name of their folder."""
    found = {}
    for path in paths:
        found.setdefault(path.parent.name, []).append(path)
    return found


if "snakemake" in globals():
    start(main, snakemake)
