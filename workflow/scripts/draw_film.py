"""Rules draw_film and draw_frame: a kind of figure as a film over the checkpoints, or one picture."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.figures.pixels import write_gif, write_png
    from timelapse.figures.scene import open_scene

    scene = open_scene(
        smk.params.figure,
        [Path(path) for path in smk.input.tables],
        [Path(path) for path in smk.input.win_rates],
        run=smk.params.run,
        task=smk.wildcards.task,
        options=smk.params.options,
    )
    frames = {step_of(path): Path(path) for path in smk.output.frames}
    pictures = {step: scene.draw(step) for step in frames}
    for step, path in frames.items():
        write_png(pictures[step], path)
    for path in map(Path, smk.output.get("vectors", [])):
        scene.write_svg(step_of(path), path)
    for path in map(Path, smk.output.get("graphs", [])):
        scene.write_json(step_of(path), path)
    if "film" in smk.output.keys():
        write_gif(list(pictures.values()), Path(smk.output.film))


def step_of(path):
    return int(Path(path).stem.removeprefix("step-"))


if "snakemake" in globals():
    start(main, snakemake)
