"""Rule head_roles: which roles the heads of every checkpoint of a run have on one task."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.activations.source import LiveSource
    from timelapse.models.loading import each_bridge
    from timelapse.probes.head_roles.movers import needs
    from timelapse.probes.head_roles.probe import head_roles
    from timelapse.probes.sweep import sweep

    settings = smk.params.probe
    sweep(
        each_bridge,
        lambda bridge, prompts: head_roles(
            bridge,
            LiveSource(bridge, needs(bridge.cfg.n_layers)),
            prompts,
            batch_size=settings["batch"],
            sequences=settings["sequences"],
            length=settings["length"],
            seed=smk.params.seed,
        ),
        checkpoints=[Path(folder) for folder in smk.input.checkpoints],
        dataset=Path(smk.input.dataset),
        n_prompts=settings["prompts"],
        tables=[Path(path) for path in smk.output.tables],
        title=f"head roles on {smk.wildcards.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
