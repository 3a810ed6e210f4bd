"""Rule faithfulness: how much of every checkpoint's behaviour its circuits keep, on new prompts."""

from functools import partial
from pathlib import Path

from job import start


def main(smk):
    import pyarrow as pa

    from timelapse.circuits.faithfulness import faithfulness
    from timelapse.circuits.model_check import graph_of, refuse_other_arithmetic
    from timelapse.circuits.score_tables import ScoredEdges
    from timelapse.circuits.settings import Settings
    from timelapse.models.device import Device, FittingBatch
    from timelapse.models.loading import each_bridge
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.sweep import first_prompts, write_each

    probe, corruptions, method = smk.params.probe, smk.params.corruptions, smk.params.method
    checkpoints = measured_checkpoints(smk.input.get("checkpoints", []), smk.output)
    prompts = first_prompts(Path(smk.input.dataset), checkpoints[0], probe["prompts"])
    edges = ScoredEdges.read(smk.input.edges)

    device = Device.for_measuring(smk.params.compute, checkpoints[0])
    fitting = FittingBatch(device.batch(probe["batch"]))

    def all_corruptions(step, bridge, batch):
        shape = graph_of(bridge, prompts, corruptions[0])
        refuse_other_arithmetic(bridge, shape, prompts, corruptions[0])
        settings = Settings(batch=batch, ablation=probe["ablation"])
        found = [
            faithfulness(
                bridge,
                shape,
                prompts,
                corruption,
                method,
                edges.scores(step, corruption, method),
                settings,
                smk.params.seed,
            )
            for corruption in corruptions
        ]
        return {name: pa.concat_tables(tables[name] for tables in found) for name in found[0]}

    def measured():
        bridges = each_bridge(checkpoints, device.name, device.dtype)
        for checkpoint, bridge in zip(checkpoints, bridges, strict=True):
            step = int(checkpoint.name.removeprefix("step-"))
            yield fitting.run(partial(all_corruptions, step, bridge))

    write_each(
        measured(),
        checkpoints,
        {name: [Path(path) for path in paths] for name, paths in smk.output.items()},
        title=f"faithfulness on {smk.params.task}",
    )


if "snakemake" in globals():
    start(main, snakemake)
