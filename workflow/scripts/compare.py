"""Rule compare: circuits of a run's checkpoints on one task, compared; and what became of heads."""

from pathlib import Path

from job import start


def main(smk):
    import pyarrow as pa

    from timelapse.circuits.comparison.heads import head_table
    from timelapse.circuits.comparison.table import ComparisonSettings, compare
    from timelapse.circuits.samples import EdgeSamples
    from timelapse.circuits.scored import ScoredEdges
    from timelapse.parquet import read, write

    def by_task(paths, tasks=smk.params.tasks):
        """The files of each task; they are listed task by task."""
        each = len(paths) // max(1, len(tasks))
        return {
            task: paths[number * each : (number + 1) * each] for number, task in enumerate(tasks)
        }

    def opened(files):
        return {
            name: EdgeSamples.open(paths, smk.params.method, len(shape.edges))
            for name, paths in files.items()
        }

    settings = ComparisonSettings(
        **{
            name: smk.params.comparison[name]
            for name in ("edges", "checkpoints", "resamples", "splits")
        },
        seed=smk.params.seed,
    )
    task = smk.wildcards.task
    shape = ScoredEdges.read(by_task(smk.input.edges)[task][:1]).shape
    samples = opened(by_task(smk.input.edge_samples))
    controls = opened(by_task(smk.input.control_samples, smk.params.controls))
    compared = compare(task, samples, shape, settings, controls)
    transfer = read(smk.input.transfer, compared.schema).cast(compared.schema)
    write(pa.concat_tables([compared, transfer]), Path(smk.output.comparison))
    heads = head_table(samples[task], shape, settings.resamples, settings.seed, task)
    write(heads, Path(smk.output.heads))


if "snakemake" in globals():
    start(main, snakemake)
