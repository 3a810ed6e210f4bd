"""Rule logit_lens: what every layer would say, at every checkpoint of a run on one task."""

from functools import partial
from pathlib import Path

from job import start


def main(smk):
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.logit_lens import logit_lens, needs
    from timelapse.probes.sweep_cached import Reading, sweep_reading

    settings = smk.params.probe
    sweep_reading(
        Reading.of(needs, smk.params.activations, smk.config),
        partial(logit_lens, top=settings["top"]),
        compute=smk.params.compute,
        batch=settings["batch"],
        checkpoints=measured_checkpoints(smk.input.get("checkpoints", []), smk.output),
        dataset=Path(smk.input.dataset),
        n_prompts=settings["prompts"],
        tables={name: [Path(path) for path in paths] for name, paths in smk.output.items()},
        title=f"logit lens on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
