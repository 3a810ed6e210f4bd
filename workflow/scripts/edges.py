"""Rule edges: scored edges between the parts of every checkpoint of a run on one task."""

from pathlib import Path

from job import start


def main(smk):
    import pyarrow as pa

    from timelapse.circuits.attribution import eap
    from timelapse.models.loading import each_bridge
    from timelapse.probes.sweep import sweep

    def all_corruptions(bridge, prompts):
        batch = smk.params.probe["batch"]
        return pa.concat_tables(
            eap(bridge, prompts, corruption, batch) for corruption in smk.params.corruptions
        )

    sweep(
        each_bridge,
        all_corruptions,
        checkpoints=[Path(folder) for folder in smk.input.checkpoints],
        dataset=Path(smk.input.dataset),
        n_prompts=smk.params.probe["prompts"],
        tables=[Path(path) for path in smk.output.tables],
        title=f"edges on {smk.wildcards.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
