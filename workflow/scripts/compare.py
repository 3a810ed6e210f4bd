"""Rule compare: circuits of a run's checkpoints on one task, compared; and what became of heads."""

from pathlib import Path

from job import start


def main(smk):
    import pyarrow as pa

    from timelapse.circuits.comparison.heads import head_table
    from timelapse.circuits.comparison.table import ComparisonSettings, compare
    from timelapse.circuits.edge_samples import EdgeSamples
    from timelapse.circuits.score_tables import ScoredEdges
    from timelapse.files.parquet import read, write

    def opened(paths, tasks):
        """The samples of each task; their files are listed task by task."""
        each = len(paths) // max(1, len(tasks))
        return {
            name: EdgeSamples.open(
                paths[number * each : (number + 1) * each], smk.params.method, len(shape.edges)
            )
            for number, name in enumerate(tasks)
        }

    settings = ComparisonSettings(
        **{
            name: smk.params.comparison[name]
            for name in ("edges", "checkpoints", "resamples", "splits")
        },
        seed=smk.params.seed,
    )
    task = smk.params.task
    shape = ScoredEdges.read(smk.input.edges).shape
    samples = opened(smk.input.edge_samples, [task])
    others = opened(smk.input.other_samples, smk.params.others)
    controls = opened(smk.input.control_samples, smk.params.controls)
    compared = compare(task, samples | others, shape, settings, controls)
    transfer = [read(path, compared.schema).cast(compared.schema) for path in smk.input.transfer]
    write(pa.concat_tables([compared, *transfer]), Path(smk.output.comparison))
    heads = head_table(samples[task], shape, settings.resamples, settings.seed, task)
    write(heads, Path(smk.output.heads))


if "snakemake" in globals():
    start(main, snakemake)
