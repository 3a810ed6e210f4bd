"""Rule head_roles: what heads do at every checkpoint, on random words and on one task."""

from functools import partial
from pathlib import Path

from job import start


def main(smk):
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.head_roles.name_movers import needs
    from timelapse.probes.head_roles.probe import head_roles
    from timelapse.probes.sweep_cached import Reading, sweep_reading

    settings = smk.params.probe
    sweep_reading(
        Reading.of(needs, smk.params.activations, smk.config),
        partial(
            head_roles,
            sequences=settings["sequences"],
            length=settings["length"],
            seed=smk.params.seed,
        ),
        compute=smk.params.compute,
        batch=settings["batch"],
        checkpoints=measured_checkpoints(smk.input.get("checkpoints", []), smk.output),
        dataset=Path(smk.input.dataset),
        n_prompts=settings["prompts"],
        tables=[Path(path) for path in smk.output.tables],
        title=f"head roles on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
