"""Rule compare: circuits of a run's checkpoints on one task, compared; and what became of heads."""

from pathlib import Path

from job import start


def main(smk):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from timelapse.circuits.comparison.heads import head_table
    from timelapse.circuits.comparison.table import ComparisonSettings, compare
    from timelapse.circuits.samples import EdgeSamples
    from timelapse.circuits.scored import ScoredEdges

    def by_task(paths):
        """The files of each task; they are listed task by task."""
        each = len(paths) // len(smk.params.tasks)
        return {
            task: paths[number * each : (number + 1) * each]
            for number, task in enumerate(smk.params.tasks)
        }

    settings = ComparisonSettings(
        **{
            name: smk.params.comparison[name]
            for name in ("edges", "checkpoints", "resamples", "splits")
        },
        seed=smk.params.seed,
    )
    task = smk.params.task
    shape = ScoredEdges.read(by_task(smk.input.edges)[task][:1]).shape
    samples = {
        name: EdgeSamples.open(paths, smk.params.method, len(shape.edges))
        for name, paths in by_task(smk.input.edge_samples).items()
    }
    compared = compare(task, samples, shape, settings)
    transfer = pq.read_table(smk.input.transfer).cast(compared.schema)
    pq.write_table(pa.concat_tables([compared, transfer]), Path(smk.output.comparison))
    heads = head_table(samples[task], shape, settings.resamples, settings.seed, task)
    pq.write_table(heads, Path(smk.output.heads))


if "snakemake" in globals():
    start(main, snakemake)
