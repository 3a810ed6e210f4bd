"""Rule patching: what every activation of every checkpoint of a run restores on one task."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.models.loading import each_bridge
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.patching.probe import patching
    from timelapse.probes.sweep import sweep

    def all_corruptions(bridge, prompts, batch):
        return patching(bridge, prompts, smk.params.corruptions, batch)

    sweep(
        each_bridge,
        all_corruptions,
        compute=smk.params.compute,
        batch=smk.params.probe["batch"],
        checkpoints=measured_checkpoints(smk.input.get("checkpoints", []), smk.output),
        dataset=Path(smk.input.dataset),
        n_prompts=smk.params.probe["prompts"],
        tables=[Path(path) for path in smk.output.tables],
        title=f"patching on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
