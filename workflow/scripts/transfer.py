"""Rule transfer: circuits run in other checkpoints and on other tasks, heads moved between both."""

from functools import partial
from pathlib import Path

from job import start


def main(smk):
    import pyarrow as pa
    from tqdm import tqdm

    from timelapse.circuits.cross_checkpoint import Place, guests, halved, transfer, visiting
    from timelapse.circuits.edge_samples import EdgeSamples
    from timelapse.circuits.head_transplant import transplants
    from timelapse.circuits.model_check import graph_of, refuse_other_arithmetic
    from timelapse.circuits.score_tables import ScoredEdges
    from timelapse.circuits.settings import Settings
    from timelapse.files.parquet import write
    from timelapse.models.device import Device, FittingBatch
    from timelapse.models.loading import each_bridge
    from timelapse.models.step_folders import measured_checkpoints
    from timelapse.probes.sweep import first_prompts

    params, comparison = smk.params, smk.params.comparison
    task, method, corruptions = params.task, params.method, params.corruptions
    checkpoints = measured_checkpoints(smk.input.get("checkpoints", []), smk.output)
    prompts = first_prompts(Path(smk.input.dataset), checkpoints[0], comparison["prompts"])
    files = list(smk.input.edges)
    n_files = len(files) // len(params.tasks)
    edges = {
        name: ScoredEdges.read(files[number * n_files : (number + 1) * n_files])
        for number, name in enumerate(params.tasks)
    }
    shape, steps = edges[task].shape, edges[task].steps
    samples = EdgeSamples.open(smk.input.edge_samples, method, len(shape.edges))
    circuits = guests(edges, steps, task, method, comparison["edges"])
    device = Device.for_measuring(params.compute, checkpoints[0])
    fitting = FittingBatch(device.batch(comparison["batch"]))
    (base,) = each_bridge([Path(smk.input.first)], device.name, device.dtype)

    def visited(step, bridge, batch):
        graph_of(bridge, prompts, corruptions[0])
        refuse_other_arithmetic(bridge, shape, prompts, corruptions[0])
        place, first = (
            Place(at, task, prompts, corruptions, comparison["resamples"], params.seed)
            for at in (step, steps[0])
        )
        halves = halved(samples, place, shape, comparison["edges"], comparison["splits"])
        visitors = visiting(circuits, place, first.step)
        tables = [transfer(bridge, shape, place, visitors, halves, Settings(batch=batch))]
        if step != first.step:
            tables += [
                transplants(base, bridge, step, shape, first, batch),
                transplants(bridge, base, first.step, shape, place, batch),
            ]
        return pa.concat_tables(tables)

    hosts = zip(checkpoints, each_bridge(checkpoints, device.name, device.dtype), strict=True)
    outputs = zip(hosts, smk.output.tables, strict=True)
    for (checkpoint, bridge), path in tqdm(
        outputs, desc=f"transfer on {task}", total=len(checkpoints), unit="checkpoint"
    ):
        step = int(checkpoint.name.removeprefix("step-"))
        write(fitting.run(partial(visited, step, bridge)), path)


if "snakemake" in globals():
    start(main, snakemake)
