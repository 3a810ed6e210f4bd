"""Rule attention: where heads look at every checkpoint of a run, and what has changed."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.attention import AttentionProbe
    from timelapse.probes.attention_patterns import example_ids, needs
    from timelapse.probes.sweep_cached import Reading, sweep_reading

    settings, dataset = smk.params.probe, Path(smk.input.dataset)
    checkpoints = measured_checkpoints(smk.input.get("checkpoints", []), smk.output)
    probe = AttentionProbe(
        heads=settings["heads"],
        examples=example_ids(dataset, settings["examples"], settings["prompts"]),
        resamples=settings["resamples"],
        seed=smk.params.seed,
    )
    sweep_reading(
        Reading.of(needs, smk.params.activations, smk.config),
        probe,
        compute=smk.params.compute,
        batch=settings["batch"],
        checkpoints=list(dict.fromkeys([Path(smk.input.first), *checkpoints])),
        dataset=dataset,
        n_prompts=settings["prompts"],
        tables={name: [Path(path) for path in paths] for name, paths in smk.output.items()},
        title=f"attention on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
