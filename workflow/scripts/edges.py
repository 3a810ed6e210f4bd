"""Rule edges: scored edges between the parts of every checkpoint of a run on one task."""

from pathlib import Path

from job import start

SETTINGS = ("ig_steps", "ablation", "keep", "threshold", "positions")


def main(smk):
    from timelapse.circuits.methods import score_edges
    from timelapse.circuits.settings import Settings
    from timelapse.models.loading import each_bridge
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.sweep import sweep

    probe = smk.params.probe
    chosen = {name: probe[name] for name in SETTINGS if name in probe}

    def all_methods(bridge, prompts, batch):
        settings = Settings(batch=batch, **chosen)
        return score_edges(bridge, prompts, smk.params.corruptions, probe["methods"], settings)

    sweep(
        each_bridge,
        all_methods,
        compute=smk.params.compute,
        batch=probe["batch"],
        checkpoints=measured_checkpoints(smk.input.get("checkpoints", []), smk.output),
        dataset=Path(smk.input.dataset),
        n_prompts=probe["prompts"],
        tables={name: [Path(path) for path in paths] for name, paths in smk.output.items()},
        title=f"edges on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
