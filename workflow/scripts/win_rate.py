"""Rule win_rate: the win rate of every checkpoint of a run on one task."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.models.loading import each_model
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.sweep import sweep
    from timelapse.probes.win_rate import win_rate

    sweep(
        each_model,
        win_rate,
        compute=smk.params.compute,
        batch=smk.params.probe["batch"],
        checkpoints=measured_checkpoints(smk.input.get("checkpoints", []), smk.output),
        dataset=Path(smk.input.dataset),
        n_prompts=smk.params.probe["prompts"],
        tables=[Path(path) for path in smk.output.tables],
        title=f"win rate on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
