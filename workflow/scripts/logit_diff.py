"""Rule logit_diff: the logit difference of every checkpoint by stream, layer and head."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.logit_diff import logit_diff, needs
    from timelapse.probes.sweep_cached import Reading, sweep_reading

    sweep_reading(
        Reading.of(needs, smk.params.activations, smk.config),
        logit_diff,
        compute=smk.params.compute,
        batch=smk.params.probe["batch"],
        checkpoints=measured_checkpoints(smk.input.get("checkpoints", []), smk.output),
        dataset=Path(smk.input.dataset),
        n_prompts=smk.params.probe["prompts"],
        tables=[Path(path) for path in smk.output.tables],
        title=f"logit difference on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
